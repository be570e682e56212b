import struct
import zlib

import numpy as np
import pytest

from crafted_images import plain_tiff
from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images import load_grey
from synthetic import noisy_gradient

FILM = noisy_gradient((96, 80), seed=0)
WHITE_IS_0 = {"tag262": 0}
BITS = [9, 10, 11, 13, 14, 15]


def packed(film: np.ndarray, bits: int) -> bytes:
    """Greys as samples of some bits, one after the other."""
    samples = film.astype(int) * ((1 << bits) - 1) // 255
    text = "".join(f"{sample:0{bits}b}" for sample in samples.ravel())
    return int(text, 2).to_bytes(len(text) // 8, "big")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
def test_signed_samples_are_refused_and_not_wrapped(order: str, bits: int) -> None:
    samples = FILM.astype(f"{order}i{bits // 8}").tobytes()
    with pytest.raises(
        UnsupportedImage, match="film: a TIFF with signed samples; export it as 8 or 16"
    ):
        load_grey(plain_tiff(order=order, samples=samples, bits=bits, tag339=2), name="film")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_more_than_sixteen_bits_are_refused_whatever_values_occur(order: str, kind: int) -> None:
    samples = FILM.astype(f"{order}u4").tobytes()
    with pytest.raises(
        UnsupportedImage, match="film: a TIFF with 32 bits per sample; export it as 8 or 16"
    ):
        load_grey(plain_tiff(order=order, samples=samples, bits=32, tag339=kind), name="film")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("photometric", [0, 1])
def test_depths_that_are_not_read_are_no_damage(order: str, bits: int, photometric: int) -> None:
    content = plain_tiff(order=order, samples=packed(FILM, bits), bits=bits, tag262=photometric)
    with pytest.raises(
        UnsupportedImage, match=f"a TIFF with {bits} bits per sample, .*not supported; expor"
    ):
        load_grey(content)


def test_twelve_bits_are_read_packed_or_not_and_no_others() -> None:
    samples = packed(FILM, 12)
    deflated = zlib.compress(samples)
    for content in (
        plain_tiff(samples=samples, bits=12),
        plain_tiff(samples=deflated, bits=12, tag259=8, tag279=len(deflated)),
    ):
        found = load_grey(content).pixels
        assert np.abs(found.astype(int) - FILM).max() <= 1
    for others in ({"order": ">"}, {"tag262": 0}):
        with pytest.raises(UnsupportedImage, match="12 bits per sample"):
            load_grey(plain_tiff(samples=samples, bits=12, **others))


def test_white_may_be_the_lowest_sample_or_is_told_as_unsupported() -> None:
    negative = 65_535 - FILM.astype(int) * 257
    np.testing.assert_array_equal(
        load_grey(plain_tiff(samples=(255 - FILM).tobytes(), **WHITE_IS_0)).pixels, FILM
    )
    little = plain_tiff(samples=negative.astype("<u2").tobytes(), bits=16, **WHITE_IS_0)
    np.testing.assert_array_equal(load_grey(little).pixels, FILM)
    big = plain_tiff(order=">", samples=negative.astype(">u2").tobytes(), bits=16, **WHITE_IS_0)
    with pytest.raises(UnsupportedImage, match="16 bits per sample, colour model 0, big-endian"):
        load_grey(big)


@pytest.mark.parametrize("order", ["<", ">"])
def test_film_that_does_not_say_what_its_lowest_sample_is_is_refused(order: str) -> None:
    said = struct.pack(order + "HH", 262, 4)
    content = plain_tiff(order=order)
    assert content.count(said) == 1
    with pytest.raises(UnsupportedImage, match="does not say whether 0 is black or white"):
        load_grey(content.replace(said, struct.pack(order + "HH", 261, 4)))


def test_planes_are_read_only_where_pillow_finds_them() -> None:
    planes = {"tag284": 2}
    np.testing.assert_array_equal(load_grey(plain_tiff(**planes)).pixels, FILM)
    for others in (WHITE_IS_0, {"bits": 16, "samples": bytes(2 * FILM.size)}):
        with pytest.raises(UnsupportedImage, match="stored in planes"):
            load_grey(plain_tiff(**planes, **others))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"tag262": 32803}, "colour model 32803"),
        ({"tag339": 4}, "8 bits per sample, colour model 1"),
        ({"tag259": 7, "bits": 12}, "a JPEG of 12 bits per sample"),
        ({"tag259": 12345}, "compression 12345"),
        ({"tag262": 6, "tag277": 3, "samples": bytes(3 * FILM.size)}, "subsampled chroma"),
    ],
)
def test_other_kinds_are_told_as_unsupported(tags: dict[str, int], message: str) -> None:
    with pytest.raises(UnsupportedImage, match=message):
        load_grey(plain_tiff(**tags))
