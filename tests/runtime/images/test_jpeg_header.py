import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.jpeg_header import check_jpeg, is_jpeg
from synthetic import noisy_gradient


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
    with pytest.raises(UnsupportedImage, match="film: a JPEG of more than 100 scans; export"):
        check_jpeg(scans(101), "film")
    with pytest.raises(UnsupportedImage, match="more than 100 scans"):
        load_grey(scans(5000))


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


@given(st.binary(max_size=200))
def test_anything_passes_or_is_refused(tail: bytes) -> None:
    for content in (b"\xff\xd8" + tail, jpeg()[:100] + tail):
        try:
            check_jpeg(content, "film")
        except CxrEdgeError as error:
            assert "\n" not in str(error)
