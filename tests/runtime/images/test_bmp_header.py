import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crafted_images import bmp_of_runs, bmp_with_alpha
from cxr_edge_runtime.errors import CxrEdgeError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.bmp_header import check_bmp
from cxr_edge_runtime.images.signatures import is_bmp
from synthetic import noisy_gradient


def test_small_bmp_of_runs_is_read() -> None:
    assert is_bmp(bmp_of_runs((96, 80)))
    assert np.unique(load_grey(bmp_of_runs((96, 80))).pixels).tolist() == [255 - 7]


def test_large_bmp_of_runs_is_refused() -> None:
    with pytest.raises(UnsupportedImage, match="a large run-length encoded BMP; export it as"):
        load_grey(bmp_of_runs((2000, 1000)))
    small = bmp_of_runs((96, 80))
    huge = small[:18] + struct.pack("<ii", 4000, -4000) + small[26:]
    with pytest.raises(UnsupportedImage, match="a large run-length encoded BMP"):
        check_bmp(huge, "film")


def test_header_of_no_known_length_is_damage() -> None:
    content = bmp_of_runs((96, 80))
    with pytest.raises(UnreadableImage, match="a BMP header of 4000000000 bytes"):
        load_grey(content[:14] + struct.pack("<I", 4_000_000_000) + content[18:])


@pytest.mark.parametrize(("alpha", "shown"), [(0, True), (255, True), (1, False)])
def test_alpha_of_zero_everywhere_is_no_alpha(alpha: int, shown: bool) -> None:
    found = load_grey(bmp_with_alpha(alpha))
    assert found.mode == "RGBA"
    film = noisy_gradient((96, 80), seed=0)
    np.testing.assert_array_equal(found.pixels, film if shown else 0 * film)


@given(st.binary(max_size=100))
def test_anything_passes_or_is_refused(tail: bytes) -> None:
    try:
        check_bmp(b"BM" + tail, "film")
    except CxrEdgeError as error:
        assert "\n" not in str(error)
