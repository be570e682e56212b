import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crafted_images import webp_of_chunks
from cxr_edge_runtime.errors import (
    CxrEdgeError,
    ImageTooLarge,
    ImageTooSmall,
    UnreadableImage,
)
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.signatures import is_webp
from cxr_edge_runtime.images.webp_header import check_webp
from synthetic import encoded


def test_chunks_beside_the_picture_are_bounded() -> None:
    few = webp_of_chunks(8 * 95)
    assert is_webp(few)
    assert load_grey(few).pixels.shape == (80, 96)
    for content in (webp_of_chunks(8 * 100), webp_of_chunks(11_000_000, content=bytes(10_500_000))):
        with pytest.raises(UnreadableImage, match="a WebP with too much metadata"):
            load_grey(content)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0II*\0"}])
def test_size_is_known_before_the_decoder_makes_room(options: dict[str, object]) -> None:
    film = encoded(Image.new("RGB", (300, 200)), "WEBP", **options)
    assert 300 * 200 * 13 < check_webp(film, "film") < 300 * 200 * 13 + 10_000
    with pytest.raises(ImageTooLarge, match="3400x3000 pixels, the limit is 10 million"):
        check_webp(encoded(Image.new("RGB", (3400, 3000)), "WEBP", **options), "film")
    with pytest.raises(ImageTooSmall):
        check_webp(encoded(Image.new("RGB", (60, 60)), "WEBP", **options), "film")


@given(st.binary(max_size=100), st.sampled_from([b"VP8 ", b"VP8L", b"VP8X", b"abcd"]))
def test_anything_passes_or_is_refused(tail: bytes, kind: bytes) -> None:
    try:
        check_webp(b"RIFF\0\0\0\0WEBP" + kind + tail, "film")
    except CxrEdgeError as error:
        assert "\n" not in str(error)
