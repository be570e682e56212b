import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.grey import is_coloured, to_grey


@pytest.mark.parametrize(("difference", "coloured"), [(0, False), (15, False), (16, True)])
def test_tint_of_a_scan_is_no_colour(difference: int, coloured: bool) -> None:
    assert is_coloured(Image.new("RGB", (80, 80), (100 + difference, 100, 100))) is coloured


def test_colour_of_a_part_counts_by_its_share() -> None:
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    image.paste((255, 0, 0), (0, 0, 100, 5))  # a mean difference of 13
    assert not is_coloured(image)
    image.paste((255, 0, 0), (0, 0, 100, 8))
    assert is_coloured(image)


def test_samples_are_scaled_by_their_full_range() -> None:
    image = Image.fromarray(np.array([[0, 1000, 4095]], dtype=np.int32))
    assert to_grey(image, "film", bits=12).tolist() == [[0, 62, 255]]
    assert to_grey(image, "film", bits=12, min_is_white=True).tolist() == [[255, 193, 0]]


@pytest.mark.parametrize("sample", [-1, 4096])
def test_samples_outside_their_range_are_refused_not_wrapped(sample: int) -> None:
    image = Image.fromarray(np.array([[0, sample]], dtype=np.int32))
    with pytest.raises(UnsupportedImage, match="film: samples of more than 12 bits"):
        to_grey(image, "film", bits=12)
