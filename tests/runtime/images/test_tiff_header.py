import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.tiff_header import check_tiff, is_tiff
from synthetic import noisy_gradient

SHORT, LONG = 3, 4
STRIP_OFFSETS, STRIP_BYTES, TILE_WIDTH, TILE_LENGTH = 273, 279, 322, 323


def tiff(**options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noisy_gradient((300, 400), seed=0)).save(file, "TIFF", **options)
    return file.getvalue()


def directory(*entries: tuple[int, int, int, int], order: str = "<") -> bytes:
    """A TIFF that is a header: tag, type, number of values, value or offset."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    return (
        start
        + struct.pack(order + "H", len(entries))
        + b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
        + bytes(64)
    )


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
def test_ordinary_films_pass(compression: str | None) -> None:
    content = tiff(compression=compression)
    assert is_tiff(content)
    check_tiff(content, "film")
    assert np.array_equal(load_grey(content).pixels, noisy_gradient((300, 400), seed=0))


@pytest.mark.parametrize("order", ["<", ">"])
def test_tile_larger_than_any_image_is_refused(order: str) -> None:
    content = directory((TILE_WIDTH, LONG, 1, 60_000), (TILE_LENGTH, LONG, 1, 60_000), order=order)
    with pytest.raises(UnsupportedImage, match="film: a TIFF with a tile of more than 30 million"):
        check_tiff(content, "film")


def test_tag_with_more_values_than_any_film_needs_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="TIFF tag 273 has 4000000 values"):
        check_tiff(directory((STRIP_OFFSETS, LONG, 4_000_000, 8)), "film")


def test_tile_and_tag_at_their_limits_pass() -> None:
    check_tiff(directory((TILE_WIDTH, LONG, 1, 30_000), (TILE_LENGTH, LONG, 1, 1000)), "film")
    with pytest.raises(UnsupportedImage, match="a tile of more than 30 million"):
        check_tiff(directory((TILE_WIDTH, LONG, 1, 30_000), (TILE_LENGTH, LONG, 1, 1001)), "film")
    other = 700  # a tag that is not looked at
    check_tiff(directory((other, LONG, 120_000, 8)), "film")
    with pytest.raises(UnreadableImage, match="TIFF tag 700 has 120001 values"):
        check_tiff(directory((other, LONG, 120_001, 8)), "film")


def test_strips_that_overlap_are_refused() -> None:
    lengths = struct.pack("<4I", *[100] * 4)
    content = directory((STRIP_OFFSETS, LONG, 4, 40), (STRIP_BYTES, LONG, 4, 40))
    content = content[:40] + lengths + content[56:]
    with pytest.raises(UnreadableImage, match="TIFF strips overlap"):
        check_tiff(content, "film")


def test_strips_without_a_length_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="TIFF strips without a length"):
        check_tiff(directory((STRIP_OFFSETS, LONG, 1, 8)), "film")


def test_tag_that_stands_twice_is_refused() -> None:
    entry = (STRIP_BYTES, LONG, 1, 8)
    with pytest.raises(UnreadableImage, match="TIFF tag 279 twice"):
        check_tiff(directory(entry, entry), "film")


def test_big_endian_bigtiff_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="big-endian BigTIFF"):
        check_tiff(b"MM\0\x2b\0\x08\0\0" + bytes(64), "film")


@given(st.binary(max_size=300), st.sampled_from([b"II*\0", b"MM\0*", b"II\x2b\0"]))
def test_anything_passes_or_is_refused(tail: bytes, magic: bytes) -> None:
    try:
        check_tiff(magic + tail, "film")
    except CxrEdgeError as error:
        assert "\n" not in str(error)
