import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crafted_images import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    INTEROPERABILITY,
    LONG,
    RATIONAL,
    SHORT,
    SUB_DIRECTORIES,
    UNDEFINED,
    plain_tiff,
    tiff_of_repeated_values,
    tiff_of_sub_directory,
)
from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.signatures import is_tiff
from cxr_edge_runtime.images.tiff_header import check_tiff
from synthetic import noisy_gradient

PHOTOMETRIC = 262
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
    with pytest.raises(UnsupportedImage, match="film: a TIFF whose tiles have far more pixels"):
        check_tiff(content, "film")


def test_tag_with_more_values_than_any_film_needs_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="TIFF tag 273 has 4000000 values"):
        check_tiff(directory((STRIP_OFFSETS, LONG, 4_000_000, 8)), "film")


def test_tile_and_tag_at_their_limits_pass() -> None:
    black_is_0 = (PHOTOMETRIC, SHORT, 1, 1)
    check_tiff(
        directory(black_is_0, (TILE_WIDTH, LONG, 1, 60_000), (TILE_LENGTH, LONG, 1, 1000)), "film"
    )
    with pytest.raises(UnsupportedImage, match="whose tiles have far more"):
        check_tiff(directory((TILE_WIDTH, LONG, 1, 60_000), (TILE_LENGTH, LONG, 1, 1001)), "film")
    other = 700  # a tag that is not looked at
    check_tiff(directory(black_is_0, (other, LONG, 120_000, 8)), "film")
    with pytest.raises(UnreadableImage, match="TIFF tag 700 has 120001 values"):
        check_tiff(directory((other, LONG, 120_001, 8)), "film")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY, SUB_DIRECTORIES])
def test_limits_on_values_hold_in_every_directory(order: str, tag: int) -> None:
    check_tiff(tiff_of_sub_directory(120_000, order=order, tag=tag), "film")
    with pytest.raises(UnreadableImage, match="TIFF tag 700 has 120001 values"):
        check_tiff(tiff_of_sub_directory(120_001, order=order, tag=tag), "film")


def test_directory_of_a_directory_is_bounded_too() -> None:
    nested = tiff_of_sub_directory(120_001, inner=700)
    # The EXIF directory's only tag becomes the place of a further one, which has the values.
    place = len(nested)
    entry = struct.pack("<HHII", 700, SHORT, 120_001, nested.index(struct.pack("<H", 700)) + 16)
    assert nested.count(entry[:8]) == 1
    at = nested.index(entry[:8])
    outer = nested[:at] + struct.pack("<HHII", INTEROPERABILITY, LONG, 1, place) + nested[at + 12 :]
    further = struct.pack("<H", 1) + nested[at : at + 12] + bytes(4)
    with pytest.raises(UnreadableImage, match="TIFF tag 700 has 120001 values"):
        check_tiff(outer + further, "film")


def test_values_that_many_tags_share_count_for_each() -> None:
    check_tiff(tiff_of_repeated_values(tags=2), "film")
    with pytest.raises(UnreadableImage, match="TIFF tags have 330010 values"):
        check_tiff(tiff_of_repeated_values(tags=3), "film")


def test_directory_of_many_tags_is_refused() -> None:
    tags = [(1000 + tag, SHORT, 1, 1) for tag in range(1000)]
    check_tiff(directory((PHOTOMETRIC, SHORT, 1, 1), *tags[:-1]), "film")
    with pytest.raises(UnreadableImage, match="TIFF: directories with more than 1000 tags"):
        check_tiff(directory((PHOTOMETRIC, SHORT, 1, 1), *tags), "film")


def test_metadata_beside_the_picture_are_bounded() -> None:
    tags = [(40_000 + tag, UNDEFINED, 4_999_000, 8) for tag in range(3)]
    block = directory((PHOTOMETRIC, SHORT, 1, 1), *tags[:2]) + bytes(5_000_000)
    with pytest.raises(UnsupportedImage, match="a TIFF with more than 10 MB of metadata"):
        check_tiff(directory(*tags) + bytes(5_000_000), "film")
    assert 3 * 9_998_000 <= check_tiff(block, "film") < 31_000_000


def test_directories_that_lead_to_each_other_are_read_once() -> None:
    content = plain_tiff(tag34665=8, tag330=8)
    assert np.array_equal(load_grey(content).pixels, load_grey(plain_tiff()).pixels)


def test_directories_without_end_are_refused() -> None:
    # Each of 120 sub-directories is empty, and stands at its own place.
    places = struct.pack("<120I", *range(200, 320))
    head = directory((SUB_DIRECTORIES, LONG, 120, 600), (PHOTOMETRIC, SHORT, 1, 1))
    with pytest.raises(UnreadableImage, match="more than 100 directories"):
        check_tiff(head.ljust(600, b"\0") + places, "film")


@pytest.mark.parametrize("rows", [1, 300])
def test_what_libtiff_holds_is_told(rows: int) -> None:
    upright = tiff(compression="tiff_lzw", tiffinfo={278: rows})
    turned = tiff(compression="tiff_lzw", tiffinfo={278: rows, 0x0112: 6})
    found = check_tiff(upright, "film")
    assert rows * 300 <= found < rows * 300 + 4000
    assert 120_000 <= check_tiff(turned, "film") - found < 120_100


def test_strips_that_overlap_are_refused() -> None:
    lengths = struct.pack("<4I", *[100] * 4)
    content = directory((STRIP_OFFSETS, LONG, 4, 40), (STRIP_BYTES, LONG, 4, 40))
    content = content[:40] + lengths + content[56:]
    with pytest.raises(UnreadableImage, match="TIFF strips overlap"):
        check_tiff(content, "film")


def test_strips_without_a_length_are_refused() -> None:
    with pytest.raises(UnreadableImage, match="TIFF strips without a length"):
        check_tiff(directory((STRIP_OFFSETS, LONG, 1, 8)), "film")


@pytest.mark.parametrize("tag", [STRIP_BYTES, 256, 258, 259, 274, 277, 278])
def test_tag_that_stands_twice_or_is_no_whole_number_is_refused(tag: int) -> None:
    entry = (tag, LONG, 1, 8)
    for others in ([entry, entry], [(tag, RATIONAL, 1, 8)]):
        with pytest.raises(UnreadableImage, match=f"TIFF tag {tag} twice or of a wrong type"):
            check_tiff(directory(*others), "film")


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiles_that_reach_far_beyond_the_picture_are_refused(order: str) -> None:
    shape = [(256, LONG, 1, 64), (257, LONG, 1, 46_875), (PHOTOMETRIC, LONG, 1, 1)]
    tile = [(TILE_WIDTH, LONG, 1, 1024), (TILE_LENGTH, LONG, 1, 16)]
    check_tiff(directory(*shape, *tile, order=order), "film")
    wide = [(TILE_WIDTH, LONG, 1, 100_000), tile[1]]
    with pytest.raises(UnsupportedImage, match="whose tiles have far more pixels than a film"):
        check_tiff(directory(*shape, *wide, order=order), "film")


@pytest.mark.parametrize(("compression", "times"), [(1, 0), (5, 1), (8, 1), (34925, 2), (50000, 2)])
def test_what_a_decompressor_keeps_is_told(compression: int, times: int) -> None:
    content = plain_tiff(tag259=compression)
    assert check_tiff(content, "film") // (80 * 96) == times


def test_big_endian_bigtiff_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="big-endian BigTIFF"):
        check_tiff(b"MM\0\x2b\0\x08\0\0" + bytes(64), "film")


@given(st.binary(max_size=300), st.sampled_from([b"II*\0", b"MM\0*", b"II\x2b\0"]))
def test_anything_passes_or_is_refused(tail: bytes, magic: bytes) -> None:
    try:
        check_tiff(magic + tail, "film")
    except CxrEdgeError as error:
        assert "\n" not in str(error)
