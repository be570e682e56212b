import struct
import time

import numpy as np
import pytest

from crafted_dicom import (
    EXPLICIT,
    FRAME_OFFSETS,
    IMPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    PIXEL_DATA,
    RLE,
    Value,
    element,
    film,
    fragments,
    number,
)
from cxr_edge_runtime.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import dicom_frame, load_grey
from dicom_files import jpeg
from synthetic import noisy_gradient

GREY = noisy_gradient((80, 64), seed=0)
FRAME = jpeg(GREY)
JPEG_LS, PRIVATE = "1.2.840.10008.1.2.4.80", "1.2.840.113619.5.2"


def compressed(*parts: bytes, offsets: bytes = b"", **changed: Value) -> bytes:
    syntax = str(changed.pop("syntax", JPEG_BASELINE))
    return film(GREY, syntax=syntax, pixels=fragments(*parts, offsets=offsets), **changed)


def jpeg_header(marker: int, bits: int, channels: int = 1) -> bytes:
    size = struct.pack(">BHHB", bits, 80, 64, channels) + b"\1\x11\0" * channels
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(size) + 2) + size


def jpeg_2000_header(bits: int = 8, *, capabilities: int = 0, channels: int = 1) -> bytes:
    size = struct.pack(">HIIIIIIIIH", capabilities, 64, 80, 0, 0, 64, 80, 0, 0, channels)
    size += bytes([bits - 1, 1, 1]) * channels
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size


@pytest.mark.parametrize(
    "stated",
    [
        "2", "2 ", " 2", "+2", "2.0", "16777217", "2\\1", "1\\1", (b"US", b"\2\0"),
        (b"UL", b"\2\0\0\0"), (b"DS", b"2 "), (b"UN", b"2 "), (b"LO", b"2 "),
        (b"FD", struct.pack("<d", 2)), (b"SS", b"\1\0\1\0"),
    ],
)  # fmt: skip
def test_number_of_frames_is_read_in_every_form(stated: Value) -> None:
    with pytest.raises(UnsupportedImage, match="several frames"):
        load_grey(film(GREY, syntax=EXPLICIT, frames=stated))


@pytest.mark.parametrize("stated", ["1", "1 ", "", "0", (b"US", b"\1\0"), (b"UN", b"1 "), None])
def test_one_frame_is_one_in_every_form(stated: Value | None) -> None:
    pixels = load_grey(film(GREY, syntax=EXPLICIT, frames=stated)).pixels
    np.testing.assert_array_equal(pixels, GREY)


def test_number_of_frames_below_0_is_damage() -> None:
    with pytest.raises(UnreadableImage, match="NumberOfFrames is negative"):
        load_grey(film(GREY, frames="-3"))


@pytest.mark.parametrize("stated", ["x", "2x", "0x2", "nan", (b"OB", b"\2\0")])
def test_number_of_frames_that_is_no_number_is_damage(stated: Value) -> None:
    with pytest.raises(UnreadableImage, match="NumberOfFrames is not a number"):
        load_grey(film(GREY, syntax=EXPLICIT, frames=stated))


@pytest.mark.parametrize("further_bytes", [514, GREY.size - 200, GREY.size, 2 * GREY.size])
def test_pixels_beyond_a_frame_are_a_second_one_though_nothing_says_so(further_bytes: int) -> None:
    pixels = element(PIXEL_DATA, (b"OB", (GREY.tobytes() * 3)[: GREY.size + further_bytes]))
    with pytest.raises(UnsupportedImage, match="several frames"):
        load_grey(film(GREY, pixels=pixels))


@pytest.mark.parametrize(("width", "fill"), [(64, 512), (700, 700)])
def test_bytes_that_fill_up_are_left_out(width: int, fill: int) -> None:
    grey = noisy_gradient((width, 80), seed=0)
    pixels = element(PIXEL_DATA, (b"OB", grey.tobytes() + bytes(fill)))
    np.testing.assert_array_equal(load_grey(film(grey, pixels=pixels)).pixels, grey)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (film(GREY, pixels=element(PIXEL_DATA, (b"OB", GREY.tobytes()[:-2]))), "fewer pixels"),
        (film(GREY)[:-2], "fewer pixels"),
        (
            film(GREY, syntax=EXPLICIT, pixels=fragments(FRAME)),
            "compressed, but its transfer syntax says",
        ),
        (film(GREY, syntax=JPEG_BASELINE), "not compressed, but its transfer syntax says"),
        (compressed(), "no frame"),
        (compressed(FRAME)[:-20], "it is truncated"),
        (compressed(b"no JPEG."), "no header"),
        (compressed(b"", b""), "no header"),
        (compressed(jpeg(GREY[:40])), "the size of its compressed frame"),
        (compressed(jpeg_header(0xC0, 8, 3)), "several channels"),
        (compressed(jpeg_2000_header(channels=3), syntax=JPEG_2000), "several channels"),
        (compressed(jpeg_2000_header()[:30], syntax=JPEG_2000), "no header"),
        (compressed(b"no JPEG 2000", syntax=JPEG_2000), "no header"),
        (
            film(GREY, syntax=EXPLICIT, stored=9),
            "its BitsStored must lie between 1 and its BitsAllocated",
        ),
        (film(GREY, syntax=EXPLICIT, stored=0), "its BitsStored must lie between 1 and"),
        (film(GREY, signed=None), "PixelRepresentation is not one whole number"),
        (film(GREY, rows=(b"US", b"\1\0\1\0")), "Rows is not one whole number"),
    ],
)
def test_frames_that_are_not_as_the_elements_say_are_damage(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        load_grey(content)


def test_frame_in_several_fragments_is_one() -> None:
    whole = load_grey(compressed(FRAME)).pixels
    for cut in (2, 3, 600):
        np.testing.assert_array_equal(load_grey(compressed(FRAME[:cut], FRAME[cut:])).pixels, whole)
    one = load_grey(compressed(FRAME, offsets=bytes(4))).pixels
    np.testing.assert_array_equal(one, whole)


@pytest.mark.parametrize(
    "content",
    [
        compressed(FRAME, FRAME),
        compressed(FRAME, FRAME, offsets=struct.pack("<2I", 0, len(FRAME) + 8)),
        compressed(FRAME[:500], FRAME[500:], FRAME),
        compressed(FRAME + FRAME),
        compressed(FRAME + b"\0" + FRAME),
        compressed(FRAME + bytes(3) + FRAME),
        compressed(FRAME + bytes(5000) + b"\xff" + FRAME),
        compressed(FRAME[:300], FRAME[300:] + bytes(4) + FRAME[:300], FRAME[300:]),
        compressed(FRAME + bytes(2), bytes(3) + FRAME),
        compressed(FRAME + bytes(2), bytes(4), b"", bytes(3) + FRAME),
        compressed(FRAME[:-1], FRAME[-1:] + b"\0\0", FRAME),
        compressed(jpeg_2000_header() + b"\xff\xd9\0\0" + jpeg_2000_header(), syntax=JPEG_2000),
        compressed(FRAME, offsets=bytes(8)),
        compressed(b"\0" * 64, b"\0" * 64, syntax=RLE),
        compressed(jpeg_2000_header(), jpeg_2000_header(), syntax=JPEG_2000),
        compressed(jpeg_2000_header() + b"\xff\xd9" + jpeg_2000_header(), syntax=JPEG_2000),
        film(
            GREY,
            syntax=JPEG_BASELINE,
            pixels=fragments(FRAME),
            raw={FRAME_OFFSETS: number(FRAME_OFFSETS, 16, b"OV") + bytes(16)},
        ),
        compressed(FRAME, frames="2"),
    ],
)
def test_several_compressed_frames_are_told_however_they_are_stored(content: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="several frames; export the film as a single frame"):
        load_grey(content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        *((compressed(b"x", syntax=f"1.2.840.10008.1.2.4.{n}"), "High-Throughput JPEG 2000")
          for n in (201, 202, 203)),
        (compressed(jpeg_2000_header(capabilities=0x4000), syntax=JPEG_2000), "High-Throughput"),
        (compressed(jpeg_2000_header(bits=17), syntax=JPEG_2000), "more than 16 bits"),
        (compressed(jpeg_header(0xC1, 12), syntax=JPEG_EXTENDED), "JPEG of more than 8 bits"),
        (compressed(jpeg_header(0xC0, 12)), "JPEG of more than 8 bits"),
        (compressed(jpeg_header(0xC2, 12)), "JPEG of more than 8 bits"),
        (compressed(jpeg_header(0xF7, 7), syntax=JPEG_LS), "JPEG-LS of fewer than 8 bits"),
        (compressed(b"x", syntax="1.2.840.10008.1.2.4.102"), "an unknown compression"),
        (film(GREY, syntax=PRIVATE), "an unknown compression"),
        (film(GREY, syntax="4711.DOE"), "an unknown compression"),
        (compressed(FRAME, bytes(1_100_000)), "frame larger than its samples"),
        (compressed(FRAME[:-2] + FRAME[FRAME.rindex(b"\xff\xda"):-2] * 100), "100 scans"),
        (compressed(FRAME[:-2] + FRAME[FRAME.rindex(b"\xff\xda"):-2] * 33, rows=5000, columns=6000),
         "33 scans"),
    ],
)  # fmt: skip
def test_what_the_decoder_cannot_read_is_told_as_unsupported(content: bytes, what: str) -> None:
    with pytest.raises(
        UnsupportedImage, match=f"{what}.*which is not supported; export it uncompressed"
    ) as caught:
        load_grey(content)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("before", [b"\xff", b"\xff\xd0", b"\xff\x01", b"\xff\xe0\0\4DO"])
def test_fill_and_markers_without_a_length_precede_the_size(before: bytes) -> None:
    frame = FRAME[:2] + before + FRAME[2:]
    with pytest.raises(UnreadableImage, match="the size of its compressed frame"):
        load_grey(compressed(frame, rows=81))


def test_compressed_films_of_many_bits_have_a_limit_of_their_own() -> None:
    wide = {"rows": 4000, "columns": 4001, "allocated": 16, "stored": 12, "high": 11}
    with pytest.raises(ImageTooLarge, match="4001x4000 pixels, the limit is 16 million"):
        load_grey(compressed(FRAME, **wide))
    with pytest.raises(UnreadableImage, match="the size of its compressed frame"):
        load_grey(compressed(FRAME, rows=4000, columns=4001))


def test_bytes_that_fill_up_a_frame_are_left_out() -> None:
    whole = load_grey(compressed(FRAME)).pixels
    filled = compressed(FRAME + bytes(400_000), bytes(400_000))
    np.testing.assert_array_equal(load_grey(filled).pixels, whole)


@pytest.mark.parametrize(
    "between",
    [b"\xff\xd9", b"\xff", b"\xfe\xff\0\xe0\0\0\xff\xd9", b"\xff\xd9\xfe\xff\0\xe0\xff\xd9\0\0"],
)
def test_search_for_a_second_frame_takes_seconds_at_most(between: bytes) -> None:
    content = between * (16_000_000 // len(between))
    began = time.thread_time()
    assert not dicom_frame._SECOND_FRAME.search(content)
    assert time.thread_time() - began < 20


def test_run_lengths_of_16_bits_keep_to_the_stored_bits() -> None:
    samples = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    upper, lower = (samples >> 8).astype(np.uint8).tobytes(), samples.astype(np.uint8).tobytes()
    literal = [
        b"".join(b"\x7f" + part[at : at + 128] for at in range(0, 4096, 128))
        for part in (upper, lower)
    ]
    header = struct.pack("<16I", 2, 64, 64 + len(literal[0]), *[0] * 13)
    high = {"stored": 12, "high": 11, "center": "2048", "width": "4096"}
    plain = load_grey(film(samples, **high)).pixels
    pixels = fragments(header + b"".join(literal))
    np.testing.assert_array_equal(
        load_grey(film(samples, syntax=RLE, pixels=pixels, **high)).pixels, plain
    )
    shifted = load_grey(film(samples, syntax=RLE, pixels=pixels, **high | {"stored": 8})).pixels
    expected = load_grey(film(samples, syntax=IMPLICIT, **high | {"stored": 8})).pixels
    np.testing.assert_array_equal(shifted, expected)
