import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crafted_images import animated_png, chunk, film_png, png_of_packed_text, png_with
from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.png_header import check_png
from cxr_edge_runtime.images.signatures import is_png
from synthetic import encoded, noisy_gradient

FILM = noisy_gradient((96, 80), seed=0)


def test_ordinary_films_pass() -> None:
    film = film_png()
    assert is_png(film)
    assert check_png(film, "film") < 1000


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_chunks_beside_the_picture_are_bounded(before: bytes) -> None:
    many = chunk(b"abCd") * 999
    assert load_grey(png_with(many, before=before)).pixels.shape == FILM.shape
    for inserted in (many + chunk(b"abCd") * 2, chunk(b"abCd", bytes(10_000_001))):
        with pytest.raises(UnsupportedImage, match="a PNG with too much beside its picture; expor"):
            load_grey(png_with(inserted, before=before))


def test_packed_texts_are_bounded_and_their_memory_is_told() -> None:
    assert check_png(png_of_packed_text(16), "film") > 80_000_000
    with pytest.raises(UnsupportedImage, match="too much beside"):
        check_png(png_of_packed_text(17), "film")


def test_picture_in_many_pieces_is_refused() -> None:
    check_png(png_with(chunk(b"IDAT") * 99_999), "film")
    with pytest.raises(UnreadableImage, match="too many pieces"):
        check_png(png_with(chunk(b"IDAT") * 100_000), "film")


def test_what_is_read_after_the_picture_is_told() -> None:
    long = chunk(b"IDAT", bytes(1_000_000))
    assert check_png(png_with(long, before=b"IEND"), "film") >= 2_000_000
    # The picture itself is read in small steps.
    assert check_png(png_with(long), "film") < 20_000


@pytest.mark.parametrize(
    ("content", "pictures"),
    [
        (animated_png(2), 2),
        (animated_png(3), 3),
        (animated_png(1, shows_the_film=False), 2),
        (animated_png(2, shows_the_film=False), 3),
    ],
)
def test_animated_png_is_refused(content: bytes, pictures: int) -> None:
    with pytest.raises(UnsupportedImage, match=f"an animated PNG of {pictures} pictures; export"):
        load_grey(content)


def test_animated_png_of_pillow_is_refused() -> None:
    content = encoded(
        Image.fromarray(FILM), "PNG", save_all=True, append_images=[Image.fromarray(255 - FILM)]
    )
    with pytest.raises(UnsupportedImage, match="an animated PNG of 2 pictures"):
        load_grey(content)


def test_png_that_only_says_it_is_animated_is_its_picture() -> None:
    twice = chunk(b"acTL", struct.pack(">II", 5, 0)) * 2
    for content in (animated_png(1), animated_png(0), png_with(twice)):
        np.testing.assert_array_equal(load_grey(content).pixels, FILM)
    late = png_with(chunk(b"acTL", struct.pack(">II", 5, 0)), before=b"IEND")
    np.testing.assert_array_equal(load_grey(late).pixels, FILM)


@given(st.binary(max_size=200))
def test_anything_passes_or_is_refused(tail: bytes) -> None:
    for content in (b"\x89PNG\r\n\x1a\n" + tail, film_png()[:60] + tail):
        try:
            check_png(content, "film")
        except CxrEdgeError as error:
            assert "\n" not in str(error)
