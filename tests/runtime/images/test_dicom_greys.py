"""Greys against a decoder that is written here from the text of the standard, sample by sample."""

import struct

import numpy as np
import pytest

from crafted_dicom import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    LUT_DATA,
    LUT_DESCRIPTOR,
    MODALITY_LUT,
    VOI_LUT,
    element,
    film,
    number,
)
from cxr_edge_runtime.errors import UnreadableImage
from cxr_edge_runtime.images import load_grey

# Every value of 12 bits.
ALL = np.arange(4096, dtype=np.uint16).reshape(64, 64)
EIGHT = np.round(np.linspace(0, 1, 4096) ** 2 * 255).astype(int).tolist()
SYNTAXES = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
TWELVE = {"stored": 12, "high": 11}


def looked_up(value: int, entries: list[int], first: int) -> int:
    """PS3.3, C.11.1.1 and C.11.2.1.1: the entry of a value."""
    if value <= first:
        return entries[0]
    if value >= first + len(entries):
        return entries[-1]
    return entries[value - first]


def lut(
    entries: list[int],
    first: int,
    bits: int,
    *,
    syntax: str = IMPLICIT,
    vr: bytes = b"US",
    data_vr: bytes = b"OW",
    packed: bool = False,
    count: int | None = None,
    data: bytes | None = None,
) -> bytes:
    """An item with a lookup table; packed are two entries of 8 bits in a word."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    count = len(entries) if count is None else count
    descriptor = struct.pack(f"{order}HHH", count & 0xFFFF, first & 0xFFFF, bits)
    if data is not None:
        pass
    elif packed:
        data = bytes(entries) + bytes(len(entries) % 2)
        if data_vr != b"OB":
            words = np.frombuffer(data, "<u2")
            data = words.astype(f"{order}u2").tobytes()
    else:
        data = np.array(entries).astype(f"{order}u2").tobytes()
    return element(LUT_DESCRIPTOR, (vr, descriptor), syntax=syntax) + element(
        LUT_DATA, (data_vr, data), syntax=syntax
    )


def with_lut(tag: int, item: bytes, *, syntax: str = IMPLICIT) -> dict[int, bytes]:
    order = ">" if syntax == BIG_ENDIAN else "<"
    inside = number(ITEM, len(item), order=order) + item
    vr = b"" if syntax == IMPLICIT else b"SQ"
    return {tag: number(tag, len(inside), vr, order) + inside}


def shown(samples: np.ndarray = ALL, **options: object) -> np.ndarray:
    options = (TWELVE if samples.itemsize == 2 else {}) | options
    return load_grey(film(samples, **options)).pixels  # type: ignore[arg-type]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("data_vr", "packed"), [(b"OW", True), (b"OB", True), (b"OW", False), (b"UN", True)]
)
def test_lut_of_8_bits_and_more_than_256_entries_equals_its_twin_of_16_bits(
    syntax: str, data_vr: bytes, packed: bool
) -> None:
    if data_vr == b"OB" and syntax == IMPLICIT:
        pytest.skip("implicit VR states no OB")
    item = lut(EIGHT, 0, 8, syntax=syntax, data_vr=data_vr, packed=packed)
    eight = shown(syntax=syntax, raw=with_lut(VOI_LUT, item, syntax=syntax))
    wide = lut([257 * entry for entry in EIGHT], 0, 16, syntax=syntax)
    sixteen = shown(syntax=syntax, raw=with_lut(VOI_LUT, wide, syntax=syntax))
    np.testing.assert_array_equal(eight, sixteen)
    expected = [looked_up(value, EIGHT, 0) for value in ALL.ravel().tolist()]
    np.testing.assert_array_equal(eight.ravel(), expected)


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 15, 16])
@pytest.mark.parametrize("first", [0, 1, 300, 3000])
def test_voi_lut_of_any_depth_and_first_value(bits: int, first: int) -> None:
    entries = np.round(np.linspace(0, 2**bits - 1, 1001) ** 1.0).astype(int).tolist()
    entries[0] = 3  # so that what lies below is told from nothing
    pixels = shown(raw=with_lut(VOI_LUT, lut(entries, first, bits)))
    greys = [
        looked_up(value, entries, first) / (2**bits - 1) * 255 for value in ALL.ravel().tolist()
    ]
    np.testing.assert_allclose(pixels.ravel(), greys, atol=0.51)


def test_zero_entries_are_65536() -> None:
    samples = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256)
    entries = list(range(65535, -1, -1))
    raw = with_lut(VOI_LUT, lut(entries, 0, 16))
    pixels = shown(samples, stored=16, high=15, raw=raw)
    np.testing.assert_allclose(pixels, (65535.0 - samples) / 65535 * 255, atol=0.51)


@pytest.mark.parametrize(
    ("syntax", "vr"), [(EXPLICIT, b"SS"), (EXPLICIT, b"US"), (IMPLICIT, b""), (BIG_ENDIAN, b"SS")]
)
def test_first_value_below_zero(syntax: str, vr: bytes) -> None:
    """Values are -1024 to 3071, and the table begins at -1024, whatever its VR says."""
    raw = with_lut(VOI_LUT, lut(EIGHT, -1024, 8, syntax=syntax, vr=vr), syntax=syntax)
    pixels = shown(syntax=syntax, raw=raw, slope="1", intercept="-1024")
    np.testing.assert_array_equal(pixels.ravel(), EIGHT)


def test_first_value_of_the_upper_half_is_not_signed_where_values_reach_it() -> None:
    samples = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256)
    raw = with_lut(VOI_LUT, lut([0, 255], 40000, 8))
    pixels = shown(samples, stored=16, high=15, raw=raw)
    np.testing.assert_array_equal(pixels == 255, samples > 40000)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_modality_lut_of_8_bits_and_more_than_256_entries(syntax: str, packed: bool) -> None:
    item = lut(EIGHT, 10, 8, syntax=syntax, packed=packed)
    pixels = shown(
        syntax=syntax, raw=with_lut(MODALITY_LUT, item, syntax=syntax), center="128", width="256"
    )
    entries = [looked_up(value, EIGHT, 10) for value in ALL.ravel().tolist()]
    expected = np.clip((np.array(entries) - 127.5) / 255 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(pixels.ravel(), expected, atol=0.51)


def test_modality_lut_of_signed_samples_begins_below_zero() -> None:
    samples = (ALL.astype(np.int32) - 2048).astype(np.int16)
    raw = with_lut(MODALITY_LUT, lut(list(range(4096)), -2048, 16))
    pixels = shown(samples, raw=raw, center="2048", width="4096")
    np.testing.assert_allclose(pixels, ALL / 4095 * 255, atol=0.51)


@pytest.mark.parametrize("tag", [MODALITY_LUT, VOI_LUT])
@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (lut(EIGHT, 0, 8, data=bytes(4094)), "shorter than stated"),
        (lut(EIGHT, 0, 12, data=bytes(8190)), "shorter than stated"),
        (lut([0], 0, 16, count=0), "shorter than stated"),
        (lut(EIGHT, 0, 7), "fewer than 8 or more than 16 bits"),
        (lut(EIGHT, 0, 17), "fewer than 8 or more than 16 bits"),
        (element(LUT_DESCRIPTOR, bytes(4)) + element(LUT_DATA, b"12"), "incomplete"),
        (element(LUT_DESCRIPTOR, bytes(6)), "incomplete"),
        (b"", "incomplete"),
    ],
)
def test_lut_that_contradicts_itself_is_damaged(tag: int, item: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        shown(raw=with_lut(tag, item))


def test_samples_whose_high_bit_is_above_are_shifted() -> None:
    plain = shown(center="2048", width="4096")
    np.testing.assert_array_equal(shown(ALL * 16, high=15, center="2048", width="4096"), plain)
    np.testing.assert_array_equal(shown(ALL * 2, high=12, center="2048", width="4096"), plain)
    np.testing.assert_array_equal(shown(ALL * 16, high=15), shown())


@pytest.mark.parametrize("high", [0, 10, 16, 60000])
def test_high_bit_that_cannot_be_is_not_believed(high: int) -> None:
    np.testing.assert_array_equal(shown(high=high), shown())


def test_overlays_in_the_bits_above_are_not_seen() -> None:
    overlay = np.random.default_rng(0).integers(0, 16, ALL.shape).astype(np.uint16)
    np.testing.assert_array_equal(shown(ALL | overlay << 12), shown())
    np.testing.assert_array_equal(shown(ALL << 4 | overlay, high=15), shown())
    seven = np.arange(64 * 128, dtype=np.uint16).reshape(64, 128).astype(np.uint8) & 0x7F
    np.testing.assert_array_equal(
        shown(seven | 0x80, stored=7, high=6), shown(seven, stored=7, high=6)
    )


@pytest.mark.parametrize("shift", [0, 4])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_signs_are_those_of_the_stored_bits(shift: int, syntax: str) -> None:
    """Of 12 bits in 16, with anything in the others, -2048 is black and 2047 white."""
    noise = np.random.default_rng(0).integers(0, 16, ALL.shape).astype(np.uint16)
    stored = (ALL.astype(np.int32) - 2048).astype(np.int16).view(np.uint16) & 0xFFF
    cells = stored << 4 | noise if shift else stored | noise << 12
    pixels = shown(cells, high=11 + shift, signed=1, syntax=syntax, center="0", width="4096")
    np.testing.assert_allclose(pixels, np.clip(ALL / 4095, 0, 1) * 255, atol=0.51)


@pytest.mark.parametrize("ends", [(0, 9), (9, 0)])
def test_padding_of_a_range_does_not_count(ends: tuple[int, int]) -> None:
    samples = np.clip(ALL, 1000, 3000)
    samples[0, :10] = range(10)
    film_ = shown(samples, padding=ends[0], padding_limit=ends[1])
    expected = (samples.ravel()[10:] - 1000.0) / 2000 * 255
    np.testing.assert_allclose(film_.ravel()[10:], expected, atol=0.51)


@pytest.mark.parametrize("vr", [b"US", b"SS"])
def test_padding_of_signed_samples_is_signed_whatever_it_says(vr: bytes) -> None:
    samples = np.clip(ALL, 1000, 3000).astype(np.int16)
    samples[0, :2] = -1500, -1400
    padding = {
        "padding": (vr, struct.pack("<h", -1500)), "padding_limit": (vr, struct.pack("<h", -1400)),
    }  # fmt: skip
    pixels = shown(samples, syntax=EXPLICIT, stored=16, high=15, **padding)
    expected = (samples.ravel()[2:] - 1000.0) / 2000 * 255
    np.testing.assert_allclose(pixels.ravel()[2:], expected, atol=0.51)


@pytest.mark.parametrize("slope", ["0.0001", "1e-9", "1e-30"])
def test_modality_values_that_span_less_than_one_are_stretched(slope: str) -> None:
    pixels = shown(slope=slope, intercept="0")
    np.testing.assert_allclose(pixels, ALL / 4095 * 255, atol=0.51)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT"])
def test_window_on_values_that_span_less_than_one(function: str | None) -> None:
    scale = {"slope": "0.0002442", "intercept": "0", "function": function}
    pixels = shown(center="0.5", width="1", **scale)
    np.testing.assert_allclose(pixels, ALL * 0.0002442 * 255, atol=0.51)
    pixels = shown(center="0.5", width="0.5", **scale)
    np.testing.assert_allclose(
        pixels, np.clip((ALL * 0.0002442 - 0.5) / 0.5 + 0.5, 0, 1) * 255, atol=0.51
    )


def test_voi_lut_of_values_that_span_less_than_one_is_refused() -> None:
    raw = with_lut(VOI_LUT, lut(EIGHT, 0, 8))
    with pytest.raises(UnreadableImage, match="needs whole values"):
        shown(slope="0.0001", intercept="0", raw=raw)


def test_window_of_width_one_is_a_threshold() -> None:
    pixels = shown(center="2048", width="1")
    np.testing.assert_array_equal(pixels, np.where(ALL > 2047, 255, 0))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"center": "1", "width": "0.5"}, "narrower than one value"),
        ({"center": "1", "width": "0", "function": "SIGMOID"}, "no width"),
        ({"center": "1", "width": "-3", "function": "LINEAR_EXACT"}, "no width"),
        ({"center": "1", "width": "9", "function": "DOE"}, "function is not a standard one"),
        ({"center": "nan", "width": "9"}, "WindowCenter is not a number"),
        ({"center": "1", "width": "inf"}, "WindowWidth is not a number"),
        ({"center": "DOE", "width": "9"}, "WindowCenter is not a number"),
        ({"slope": "1e300", "intercept": "1e300"}, "samples are too large"),
        ({"slope": "1e308", "intercept": "-1e308"}, "samples are too large"),
    ],
)
def test_numbers_that_make_no_sense_are_damage_and_not_quoted(
    changed: dict[str, str], reason: str
) -> None:
    with pytest.raises(UnreadableImage, match=reason) as caught:
        shown(**changed)
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize("function", ["", "linear ", "LINEAR"])
def test_window_function_is_linear_unless_it_says_so(function: str) -> None:
    np.testing.assert_array_equal(
        shown(center="9", width="99", function=function), shown(center="9", width="99")
    )


@pytest.mark.parametrize("values", [("1e308", "1e-300"), ("-1e308", "1e308"), ("0", "1e-308")])
@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_windows_of_extreme_numbers_are_greys(values: tuple[str, str], function: str) -> None:
    center, width = values
    assert shown(center=center, width=width, function=function).dtype == np.uint8


def test_film_of_several_parts_is_looked_up_whole() -> None:
    large = np.tile(ALL, (9, 9))
    np.testing.assert_array_equal(shown(large), np.tile(shown(), (9, 9)))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("center", "width"), [("  ", "  "), (" ", "99"), ("99", "\\"), ("", " ")])
def test_blank_window_is_none(syntax: str, center: str, width: str) -> None:
    blank = load_grey(film(ALL, syntax=syntax, center=center, width=width, **TWELVE))
    plain = load_grey(film(ALL, syntax=syntax, **TWELVE))
    np.testing.assert_array_equal(blank.pixels, plain.pixels)
    assert blank.warnings == plain.warnings != ()


def test_empty_first_value_of_a_window_is_passed_over() -> None:
    found = load_grey(film(ALL, center="\\1000", width=" \\2000 ", **TWELVE))
    first = load_grey(film(ALL, center="1000", width="2000", **TWELVE))
    np.testing.assert_array_equal(found.pixels, first.pixels)
    assert found.warnings == ()
