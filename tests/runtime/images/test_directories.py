import pytest
from hypothesis import given
from hypothesis import strategies as st

from crafted_images import (
    LONG,
    SHORT,
    UNDEFINED,
    directory,
    exif_bomb,
    exif_of_one_directory_again_and_again,
    exif_of_overlapping_directories,
    tiff_head,
)
from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage
from cxr_edge_runtime.images.directories import Block, check_block

ORDERS = ["<", ">"]


def block(*tags: tuple[int, int, int, int | bytes], order: str = "<", room: int = 100) -> bytes:
    return tiff_head(order) + directory(tags, order=order) + bytes(room)


@pytest.mark.parametrize("order", ORDERS)
def test_values_are_found_in_the_entry_or_elsewhere(order: str) -> None:
    read = Block(block((1, LONG, 1, 7), (2, SHORT, 3, 8), order=order))
    inside, apart = read.directory(read.first).entries
    assert read.numbers(inside) == (7,)
    assert (inside.apart, apart.apart) == (False, True)
    assert apart.at == 8
    assert len(read.numbers(apart)) == 3
    assert read.numbers(apart, at_most=1) == read.numbers(apart)[:1]


@pytest.mark.parametrize("order", ORDERS)
def test_block_whose_tags_share_their_values_is_refused(order: str) -> None:
    once = [(1000, UNDEFINED, 9000, 100)]
    check_block(block(*once, order=order, room=9100), "film", what="EXIF")
    check_block(b"Exif\0\0" * 2 + block(*once, order=order, room=9100), "film", what="EXIF")
    shared = [(1000 + tag, UNDEFINED, 9000, 100) for tag in range(3)]
    for content in (block(*shared, order=order, room=9100), exif_bomb(order=order)):
        for start in (b"", b"Exif\0\0", b"Exif\0\0" * 2):
            with pytest.raises(
                UnreadableImage, match=r"film: damaged image \(EXIF with overlapping"
            ):
                check_block(start + content, "film", what="EXIF")


def test_values_beyond_the_block_cost_nothing() -> None:
    check_block(block((1, LONG, 4_000_000_000, 8), (2, LONG, 100, 4_000_000_000)), "", what="")


def test_block_of_many_numbers_is_refused() -> None:
    def numbers(count: int) -> bytes:
        return block((1, SHORT, count, 100), room=2 * count + 100)

    check_block(numbers(300_000), "film", what="EXIF")
    with pytest.raises(UnreadableImage, match="too many values"):
        check_block(numbers(300_001), "film", what="EXIF")


def directories_of(content: bytes) -> int:
    read = Block(content)
    return len(list(read.tree(read.first)))


def test_tags_of_all_directories_are_bounded_together() -> None:
    assert directories_of(exif_of_overlapping_directories(19, tags=1000)) == 20
    with pytest.raises(ValueError, match="directories with more than 20000 tags"):
        directories_of(exif_of_overlapping_directories(20, tags=1000))


def test_tags_that_lead_to_one_directory_count_each_time() -> None:
    assert directories_of(exif_of_one_directory_again_and_again(9, 11)) == 1
    with pytest.raises(ValueError, match="more than 100 directories"):
        directories_of(exif_of_one_directory_again_and_again(10, 10))


@given(st.binary(max_size=200), st.sampled_from([b"II*\0", b"MM\0*", b"II\x2b\0", b""]))
def test_anything_passes_or_is_refused(tail: bytes, magic: bytes) -> None:
    try:
        check_block(magic + tail, "film", what="EXIF")
    except CxrEdgeError as error:
        assert "\n" not in str(error)
