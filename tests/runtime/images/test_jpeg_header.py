import io
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crafted_images import (
    frame,
    jpeg_of_hidden_scans,
    jpeg_segment,
    jpeg_with,
    plain_jpeg,
)
from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import jpeg_header, load_grey
from cxr_edge_runtime.images.inspection import inspect
from cxr_edge_runtime.images.jpeg_header import check_jpeg
from cxr_edge_runtime.images.signatures import is_jpeg
from synthetic import encoded, noisy_gradient


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noisy_gradient((96, 80), seed=0)).convert("RGB").save(file, "JPEG", **options)
    return file.getvalue()


def scans(count: int) -> bytes:
    """A progressive JPEG with its last scan again and again."""
    content = jpeg(progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (count - content.count(b"\xff\xda")) + content[-2:]


def exif(blocks: int) -> bytes:
    block = b"\xff\xe1\x00\x0aExif\0\0II"
    content = jpeg()
    return content[:2] + block * blocks + content[2:]


def test_ordinary_films_pass() -> None:
    for content in (jpeg(), jpeg(progressive=True), scans(100), exif(16)):
        assert is_jpeg(content)
        check_jpeg(content, "film")


def test_many_scans_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(UnsupportedImage, match="film: a JPEG with more than 100 scans; export"):
        check_jpeg(scans(101), "film")
    with pytest.raises(UnsupportedImage, match="more than 100 scans"):
        load_grey(scans(5000))


def test_large_jpeg_may_have_fewer_scans() -> None:
    def large(count: int) -> bytes:
        return scans(count).replace(struct.pack(">HH", 80, 96), struct.pack(">HH", 6000, 5000))

    check_jpeg(large(33), "film")
    with pytest.raises(
        UnsupportedImage, match="with more than 33 scans; export it as baseline JPEG"
    ):
        check_jpeg(large(34), "film")


@pytest.mark.parametrize(("channels", "refused"), [("RGB", True), ("L", False)])
def test_baseline_jpeg_has_one_scan_only_if_it_has_one_channel(
    channels: str, refused: bool
) -> None:
    file = io.BytesIO()
    Image.fromarray(noisy_gradient((96, 80), seed=0)).convert(channels).save(file, "JPEG")
    content = file.getvalue() + b"\xff\xda" * 100
    if not refused:  # its decoder reads one scan and stops
        check_jpeg(content, "film")
        return
    with pytest.raises(UnsupportedImage, match="more than 100 scans"):
        check_jpeg(content, "film")


def test_many_exif_blocks_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="more than 16 EXIF blocks"):
        check_jpeg(exif(17), "film")


def test_header_is_bounded_in_segments_and_bytes() -> None:
    segment = jpeg_segment(0xE5)
    check_jpeg(jpeg_with(segment * 980), "film")
    for inserted in (segment * 1000, jpeg_segment(0xE5, bytes(65_000)) * 160, b"\xff\xd0" * 1000):
        with pytest.raises(UnsupportedImage, match="a JPEG with more than 1000 segments or 10 MB"):
            check_jpeg(jpeg_with(inserted), "film")


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_bytes_between_segments_are_bounded(byte: bytes) -> None:
    # In the second part, since libjpeg reads nothing before the first.
    assert load_grey(jpeg_with(jpeg_segment(0xE5) + byte * 99_000)).pixels.shape == (80, 96)
    with pytest.raises(UnreadableImage, match="more than 100000 bytes between JPEG segments"):
        load_grey(jpeg_with(byte * 100_001))


@pytest.mark.parametrize("marker", [0xC0, 0xC2, 0xDE])
def test_second_frame_header_is_refused(marker: int) -> None:
    with pytest.raises(UnreadableImage, match="several frame headers"):
        check_jpeg(jpeg_with(frame(marker)), "film")


@pytest.mark.parametrize(
    "marker",
    [b"\xff\xd0", b"\xff\xd7", b"\xff\xd8", b"\xff\xd9", b"\xff\xf0", b"\xff\xc8", b"\xff\0"],
)
def test_marker_without_a_length_does_not_hide_the_scans(marker: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="more than 100 scans"):
        check_jpeg(jpeg_of_hidden_scans(101, marker=marker), "film")


def test_segments_are_those_that_pillow_finds() -> None:
    """Whatever stands between, the size is the one that Pillow reads."""
    inserted = [
        b"\xff\xd3", b"\xff\xd8", b"\xff\xff\xff", b"\0ab", b"\xff\0", b"\xff\xf4",
        b"\xff\xe4\0\0", b"\xff\xe4\0\1", jpeg_segment(0xFE, b"\xff\xc0abc"), frame(size=(70, 90)),
    ]  # fmt: skip
    film = jpeg()
    for several in itertools.product(inserted, repeat=2):
        between = jpeg_segment(0xE5) + b"".join(several)  # Pillow knows a JPEG by a third byte
        content = film[:2] + between + film[2:]
        header = jpeg_header._read(content, "film")
        assert header.complete
        with Image.open(io.BytesIO(content)) as image:
            assert header.frame[1:5] == struct.pack(">HH", image.height, image.width)
            assert header.n_frames == len(image.layer) - 2


@pytest.mark.parametrize("marker", [0xC1, 0xC2, 0xC3, 0xC9])
def test_samples_of_twelve_bits_are_unsupported_and_not_damage(marker: int) -> None:
    with pytest.raises(
        UnsupportedImage, match="film: a JPEG with 12 bits per sample; export it as"
    ):
        load_grey(plain_jpeg(marker, bits=12), name="film")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xd8" + frame(0xF7) + jpeg_segment(0xDA, b"\1\1\0\0\0\0"), "a JPEG-LS file"),
        (plain_jpeg(0xC3), "damaged, or a lossless or arithmetic-coded JPEG"),
        (plain_jpeg(0xCA), "damaged, or a lossless or arithmetic-coded JPEG"),
        (plain_jpeg(0xC7), "a lossless or hierarchical JPEG"),
        (plain_jpeg(0xCB), "a lossless or hierarchical JPEG"),
        (plain_jpeg(channels=2), "a JPEG with 2 channels"),
        (plain_jpeg(channels=4), "a CMYK JPEG that does not say whether it is inverted"),
    ],
)
def test_kinds_that_are_not_read_are_told_as_unsupported(content: bytes, message: str) -> None:
    for read in (load_grey, lambda content: inspect(content, side=32)):
        with pytest.raises(UnsupportedImage, match=f"image: {message}; export it as baseline JPEG"):
            read(content)


@pytest.mark.parametrize(
    ("mode", "options", "bytes_a_pixel"),
    [
        ("L", {}, 0),
        ("RGB", {}, 0),
        ("L", {"progressive": True}, 2),
        ("RGB", {"progressive": True, "subsampling": "4:2:0"}, 3),
        ("RGB", {"progressive": True, "subsampling": "4:2:2"}, 4),
        ("RGB", {"progressive": True, "subsampling": "4:4:4"}, 6),
        ("CMYK", {"progressive": True}, 8),
    ],
)
def test_what_libjpeg_holds_of_several_scans_is_told(
    mode: str, options: dict[str, object], bytes_a_pixel: int
) -> None:
    film = encoded(Image.new(mode, (640, 480)), "JPEG", **options)
    assert 0 <= check_jpeg(film, "film") - 640 * 480 * bytes_a_pixel < 3000


@given(st.binary(max_size=200))
def test_anything_passes_or_is_refused(tail: bytes) -> None:
    for content in (b"\xff\xd8" + tail, jpeg()[:100] + tail):
        try:
            check_jpeg(content, "film")
        except CxrEdgeError as error:
            assert "\n" not in str(error)
