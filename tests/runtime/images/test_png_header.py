import struct
import zlib

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
        with pytest.raises(UnsupportedImage, match="a PNG with too much metadata; expor"):
            load_grey(png_with(inserted, before=before))


def test_packed_texts_are_bounded_and_their_memory_is_told() -> None:
    assert check_png(png_of_packed_text(16), "film") > 80_000_000
    with pytest.raises(UnsupportedImage, match="a PNG with too much metadata"):
        check_png(png_of_packed_text(17), "film")


def test_picture_in_many_pieces_is_refused() -> None:
    check_png(png_with(chunk(b"IDAT") * 99_999), "film")
    with pytest.raises(UnreadableImage, match="too many chunks"):
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
    with pytest.raises(UnsupportedImage, match=f"an animated PNG with {pictures} pictures; export"):
        load_grey(content)


def test_animated_png_of_pillow_is_refused() -> None:
    content = encoded(
        Image.fromarray(FILM), "PNG", save_all=True, append_images=[Image.fromarray(255 - FILM)]
    )
    with pytest.raises(UnsupportedImage, match="an animated PNG with 2 pictures"):
        load_grey(content)


def test_png_that_only_says_it_is_animated_is_its_picture() -> None:
    twice = chunk(b"acTL", struct.pack(">II", 5, 0)) * 2
    for content in (animated_png(1), animated_png(0), png_with(twice)):
        np.testing.assert_array_equal(load_grey(content).pixels, FILM)
    late = png_with(chunk(b"acTL", struct.pack(">II", 5, 0)), before=b"IEND")
    np.testing.assert_array_equal(load_grey(late).pixels, FILM)


def png(samples: np.ndarray, *, colour: int, depth: int, transparent: bytes) -> bytes:
    """A PNG of a depth that Pillow does not write; each row of samples is bytes already."""
    height, n_bytes = samples.shape
    width = n_bytes * 8 // depth // (3 if colour == 2 else 1)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", transparent)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND")
    )


@pytest.mark.parametrize("value", [0, 7, 0x1234, 65_535])
def test_transparent_grey_of_16_bits_is_black(value: int) -> None:
    samples = np.linspace(0, 65_535, 80 * 96).astype(np.uint16).reshape(80, 96)
    samples[:9] = value
    content = png(
        samples.astype(">u2").view(np.uint8), colour=0, depth=16,
        transparent=value.to_bytes(2, "big"),
    )  # fmt: skip
    expected = np.where(samples == value, 0, np.round(samples / 257))
    np.testing.assert_array_equal(load_grey(content).pixels, expected)


def test_transparent_grey_of_8_bits_is_black() -> None:
    content = png(FILM, colour=0, depth=8, transparent=b"\0\x50")
    np.testing.assert_array_equal(load_grey(content).pixels, np.where(FILM == 0x50, 0, FILM))


@pytest.mark.parametrize("white", [False, True])
def test_transparent_grey_of_1_bit_is_black(white: bool) -> None:
    samples = np.full((80, 12), 0x0F, np.uint8)
    content = png(samples, colour=0, depth=1, transparent=bytes([0, white]))
    expected = 255 * (np.unpackbits(samples, axis=1) & (not white))
    np.testing.assert_array_equal(load_grey(content).pixels, expected)


@pytest.mark.parametrize(("colour", "depth"), [(0, 2), (0, 4), (2, 16)])
def test_transparency_that_pillow_compares_wrongly_is_refused(colour: int, depth: int) -> None:
    samples = np.zeros((80, 480), np.uint8)
    content = png(samples, colour=colour, depth=depth, transparent=bytes(6))
    with pytest.raises(
        UnsupportedImage, match=f"film: a PNG with {depth} bits per sample and a tra"
    ):
        load_grey(content, name="film")


@given(st.binary(max_size=200))
def test_anything_passes_or_is_refused(tail: bytes) -> None:
    for content in (b"\x89PNG\r\n\x1a\n" + tail, film_png()[:60] + tail):
        try:
            check_png(content, "film")
        except CxrEdgeError as error:
            assert "\n" not in str(error)
