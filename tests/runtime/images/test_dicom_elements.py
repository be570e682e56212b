import io
import struct
import time

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from crafted_dicom import (
    BIG_ENDIAN,
    BODY_PART,
    CENTER,
    EXPLICIT,
    FRAME_GROUPS,
    FUNCTION,
    IMPLICIT,
    ITEM,
    ITEM_END,
    JPEG_BASELINE,
    LUT_DATA,
    LUT_DESCRIPTOR,
    MODALITY,
    PIXEL_DATA,
    READ,
    SEQUENCE_END,
    SPECIFIC_CHARACTER_SET,
    UNDEFINED,
    VOI_LUT,
    WIDTH,
    element,
    film,
    fragments,
    head,
    number,
    sequence,
)
from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from dicom_files import PATIENT, jpeg, written
from synthetic import noisy_gradient

GREY = noisy_gradient((80, 64), seed=0)
LUT = element(LUT_DESCRIPTOR, struct.pack("<3H", 2, 99, 8)) + element(LUT_DATA, b"\0\xff")
LUTTED = np.where(GREY > 99, 255, 0)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_byte_order_gives_the_same_film(syntax: str, dtype: type) -> None:
    samples = GREY.astype(dtype) * (1 if dtype is np.uint8 else 257)
    window = {} if dtype is np.uint8 else {"center": "32768", "width": "65536"}
    pixels = load_grey(film(samples, syntax=syntax, **window)).pixels
    np.testing.assert_allclose(pixels, GREY, atol=1)


def test_bytes_in_big_endian_words_are_swapped() -> None:
    swapped = GREY.reshape(-1, 2)[:, ::-1].tobytes()
    pixels = element(PIXEL_DATA, (b"OW", swapped), syntax=BIG_ENDIAN)
    np.testing.assert_array_equal(
        load_grey(film(GREY, syntax=BIG_ENDIAN, pixels=pixels)).pixels, GREY
    )


def test_pydicom_writes_what_is_read() -> None:
    dataset = pydicom.dcmread(io.BytesIO(written(WindowCenter=2048, WindowWidth=1024)))
    nested = Dataset()
    nested.PatientName = PATIENT
    nested.ReferencedImageSequence = [Dataset(), Dataset()]
    dataset.ReferencedStudySequence = [nested, nested]
    plain = load_grey(written(WindowCenter=2048, WindowWidth=1024)).pixels
    for syntax in (IMPLICIT, EXPLICIT):
        for undefined in (True, False):
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset["ReferencedStudySequence"].is_undefined_length = undefined
            nested.is_undefined_length_sequence_item = undefined
            file = io.BytesIO()
            dataset.save_as(
                file, implicit_vr=syntax == IMPLICIT, little_endian=True, enforce_file_format=True
            )
            np.testing.assert_array_equal(load_grey(file.getvalue()).pixels, plain)


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_first_item_of_a_sequence_of_either_length(syntax: str, undefined: bool) -> None:
    vr = b"" if syntax == IMPLICIT else b"SQ"
    other = element(LUT_DESCRIPTOR, b"DOE") + number(FRAME_GROUPS, 0)
    raw = {VOI_LUT: sequence(VOI_LUT, [LUT, other, b""], vr=vr, undefined=undefined)}
    np.testing.assert_array_equal(load_grey(film(GREY, syntax=syntax, raw=raw)).pixels, LUTTED)


@pytest.mark.parametrize("vr", [b"UN", b"SQ"])
def test_sequence_of_implicit_items_in_an_explicit_file(vr: bytes) -> None:
    """So are sequences written that a writer knows nothing of (PS3.5, 6.2.2)."""
    for undefined in (True, False):
        raw = {VOI_LUT: sequence(VOI_LUT, [LUT], vr=vr, undefined=undefined)}
        pixels = load_grey(film(GREY, syntax=EXPLICIT, raw=raw)).pixels
        np.testing.assert_array_equal(pixels, LUTTED)


def test_nested_sequences_are_passed_over_whatever_they_contain() -> None:
    inside = sequence(VOI_LUT, [LUT, LUT], undefined=True) + element(MODALITY, "CT")
    for _ in range(50):
        inside = sequence(FRAME_GROUPS, [inside, b""], undefined=True)
    icon = fragments(b"x", b"yy")[12:]  # compressed pixels of an icon
    icon = (
        number(0x00880200, UNDEFINED)
        + number(ITEM, UNDEFINED)
        + number(PIXEL_DATA, UNDEFINED)
        + icon
        + number(ITEM_END, 0)
        + number(SEQUENCE_END, 0)
    )
    loaded = load_grey(film(GREY, raw={0x00081140: inside, 0x00880200: icon}))
    np.testing.assert_array_equal(loaded.pixels, GREY)
    assert loaded.objections == ()


def test_single_elements_without_a_vr_in_an_explicit_file() -> None:
    raw = {BODY_PART: element(BODY_PART, "KNEE"), 0x00091001: number(0x00091001, 4) + b"DOE "}
    loaded = load_grey(film(GREY, syntax=EXPLICIT, raw=raw))
    assert loaded.objections == ("DICOM body part is not the chest",)


def test_file_in_another_vr_than_it_says_is_read() -> None:
    explicit, implicit = film(GREY, syntax=EXPLICIT), film(GREY, syntax=IMPLICIT)
    swapped = head(EXPLICIT) + implicit[len(head(IMPLICIT)) :]
    np.testing.assert_array_equal(load_grey(swapped).pixels, GREY)
    swapped = head(IMPLICIT) + explicit[len(head(EXPLICIT)) :]
    np.testing.assert_array_equal(load_grey(swapped).pixels, GREY)


@pytest.mark.parametrize("undefined", [False, True])
def test_icons_tables_and_private_data_of_usual_size_are_passed_over(undefined: bool) -> None:
    lut = element(LUT_DESCRIPTOR, b"\0\0\0\0\x10\0") + number(LUT_DATA, 131_072) + bytes(131_072)
    icon = number(PIXEL_DATA, 1_280_000) + bytes(1_280_000)
    private = number(0x00091002, 1_200_000) + bytes(1_200_000)
    raw = {
        tag: sequence(tag, items, undefined=undefined)
        for tag, items in ((0x00091001, [private]), (FRAME_GROUPS, [lut] * 8), (0x00880200, [icon]))
    }
    np.testing.assert_array_equal(load_grey(film(GREY, raw=raw)).pixels, GREY)


@pytest.mark.parametrize(
    ("syntax", "vr"),
    [(IMPLICIT, b""), (EXPLICIT, b"CS"), (EXPLICIT, b"UT"), (BIG_ENDIAN, b"CS")],
)
@pytest.mark.parametrize("length", [8, 4000])
def test_character_sets_of_items_are_counted_together(syntax: str, vr: bytes, length: int) -> None:
    def nested(count: int) -> bytes:
        order = ">" if syntax == BIG_ENDIAN else "<"
        head_ = number(SPECIFIC_CHARACTER_SET, length, vr, order)
        end = [number(tag, 0, b"", order) for tag in (ITEM_END, SEQUENCE_END)]
        items = number(ITEM, UNDEFINED, b"", order) + head_ + b"ISO\\" * (length // 4) + end[0]
        start = number(FRAME_GROUPS, UNDEFINED, vr and b"SQ", order)
        return film(GREY, syntax=syntax, raw={FRAME_GROUPS: start + items * count + end[1]})

    assert load_grey(nested(8000 // length)).pixels.shape == GREY.shape
    began = time.thread_time()
    with pytest.raises(UnreadableImage, match="SpecificCharacterSet is too long"):
        load_grey(nested(300_000 // length))
    assert time.thread_time() - began < 20


@pytest.mark.parametrize(
    "tail", [bytes(7), bytes(512), b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0....", b"x"]
)
def test_what_follows_the_pixels_does_no_harm(tail: bytes) -> None:
    for content in (
        film(GREY, syntax=EXPLICIT),
        film(GREY, syntax=JPEG_BASELINE, pixels=fragments(jpeg(GREY))),
    ):
        assert load_grey(content + tail).pixels.shape == GREY.shape


@pytest.mark.parametrize("tag", READ)
@pytest.mark.parametrize("vr", [b"", b"UN", b"UT"])
def test_every_element_that_is_read_is_measured_first(tag: int, vr: bytes) -> None:
    value = b"7\\" * 4096
    raw = {tag: number(tag, len(value), vr) + value}
    window = {"center": "9", "width": "9"} if tag in (CENTER, WIDTH, FUNCTION) else {}
    content = film(
        GREY.astype(np.uint16), syntax=EXPLICIT if vr else IMPLICIT, raw=raw, slope="1",
        intercept="0", padding=0, **window,
    )  # fmt: skip
    with pytest.raises(UnreadableImage, match=r"its \w+ is longer than 4096 bytes"):
        load_grey(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (bytes(128) + b"DICM", "no transfer syntax"),
        (bytes(128) + b"DICM" + film(GREY)[len(head()) :], "no transfer syntax"),
        (film(GREY, raw={VOI_LUT: sequence(VOI_LUT, [LUT], undefined=True)[:-8]}), "Error"),
        (film(GREY, raw={VOI_LUT: number(VOI_LUT, 8) + b"DOE JANE"}), "not a sequence"),
        (film(GREY, raw={VOI_LUT: number(VOI_LUT, 4) + b"DOE "}), "not a sequence"),
        (film(GREY, raw={VOI_LUT: number(VOI_LUT, 8) + number(ITEM, 9)}), "damaged"),
        (head() + number(FRAME_GROUPS, UNDEFINED) + number(ITEM, UNDEFINED), "Error"),
        (film(GREY, raw={MODALITY: number(MODALITY, UNDEFINED) + number(SEQUENCE_END, 0)}),
         "Modality is longer"),
    ],
)  # fmt: skip
def test_damaged_structure_is_told_without_a_value(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason) as told:
        load_grey(content, name="film")
    assert str(told.value).startswith("film: damaged DICOM file (")
    assert "DOE" not in str(told.value)


def test_file_that_ends_before_its_pixels_has_no_image() -> None:
    whole = film(GREY, syntax=EXPLICIT)
    for end in range(len(head(EXPLICIT)), len(whole) - GREY.size - 12):
        with pytest.raises((UnsupportedImage, UnreadableImage), match=r"without an image|cut off"):
            load_grey(whole[:end])
