from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from crafted_images import plain_tiff, tiff_of_overlapping_pages, tiff_of_pages
from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.inspection import inspect
from synthetic import encoded, noisy_gradient

FILM, SMALLER, OF_SEVERAL, MASK = 0, 1, 2, 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kinds", [[FILM, FILM], [OF_SEVERAL] * 3, [SMALLER, FILM], [MASK, FILM]])
def test_tiff_of_several_pages_is_refused(order: str, kinds: Sequence[int]) -> None:
    content = tiff_of_pages(kinds, order=order)
    for read in (load_grey, lambda content: inspect(content, side=32)):
        with pytest.raises(
            UnsupportedImage, match=f"image: a TIFF with {len(kinds)} pages; export only"
        ):
            read(content)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kinds", [[FILM], [FILM, SMALLER], [FILM, SMALLER, MASK], [SMALLER]])
def test_smaller_copies_and_masks_are_no_pages(order: str, kinds: Sequence[int]) -> None:
    found = load_grey(tiff_of_pages(kinds, order=order)).pixels
    np.testing.assert_array_equal(found, load_grey(plain_tiff()).pixels)


def test_older_tag_counts_too() -> None:
    assert load_grey(tiff_of_pages([1, 2], tag=255)).pixels.shape == (80, 96)
    with pytest.raises(UnsupportedImage, match="a TIFF with 2 pages"):
        load_grey(tiff_of_pages([3, 3], tag=255))


def test_preview_of_a_film_in_a_sub_directory_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="a TIFF whose first page is a preview"):
        load_grey(plain_tiff(tag254=SMALLER, tag330=8))
    with pytest.raises(UnsupportedImage, match="a TIFF whose first page is a preview"):
        load_grey(tiff_of_pages([SMALLER, SMALLER]))


def test_pages_that_follow_each_other_in_a_circle_end() -> None:
    content = bytearray(tiff_of_pages([FILM, SMALLER]))
    last = 8 + 2 * (2 + 12 * 10 + 4) - 4
    content[last : last + 4] = (8).to_bytes(4, "little")
    assert load_grey(bytes(content)).pixels.shape == (80, 96)


def test_pages_as_pillow_writes_them_are_counted() -> None:
    films = [Image.fromarray(noisy_gradient((90, 70), seed)) for seed in range(5)]
    content = encoded(films[0], "TIFF", save_all=True, append_images=films[1:])
    with pytest.raises(UnsupportedImage, match="a TIFF with 5 pages"):
        load_grey(content)


def test_pages_of_too_many_tags_are_not_all_looked_at() -> None:
    with pytest.raises(UnsupportedImage, match="a TIFF with 21 pages"):
        load_grey(tiff_of_overlapping_pages(1000, tags=1000))
