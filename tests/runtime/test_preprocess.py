import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxr_edge_runtime.images import decode_grey, read_grey
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from synthetic import noisy_gradient


@given(st.integers(64, 300), st.integers(64, 300), st.integers(16, 256), st.integers(16, 256))
@settings(max_examples=40)
def test_equals_pillow_bicubic(width: int, height: int, to_width: int, to_height: int) -> None:
    pixels = noisy_gradient((width, height), seed=width)
    result = preprocess(pixels, PreprocessSpec(height=to_height, width=to_width))
    reference = Image.fromarray(pixels).resize((to_width, to_height), Image.Resampling.BICUBIC)
    assert result.shape == (1, to_height, to_width, 1)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[0, :, :, 0], np.asarray(reference))


def test_image_of_the_right_size_passes_unchanged() -> None:
    pixels = noisy_gradient((224, 224), seed=3)
    np.testing.assert_array_equal(preprocess(pixels, PreprocessSpec())[0, :, :, 0], pixels)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF"])
def test_container_makes_no_difference(format_: str) -> None:
    pixels = noisy_gradient((300, 200), seed=4)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format_)
    np.testing.assert_array_equal(
        preprocess(decode_grey(buffer.getvalue()).pixels, PreprocessSpec()),
        preprocess(pixels, PreprocessSpec()),
    )


def test_resized_originals_come_closer_to_their_copies_than_without_antialiasing(
    shared: Path,
) -> None:
    data = shared / "data"
    for original in sorted((data / "originals").glob("*/*"))[::15]:
        grey = read_grey(original).pixels
        copy = read_grey(data / "chest_xray/train" / original.parent.name / original.name).pixels
        ours = preprocess(grey, PreprocessSpec())[0, :, :, 0].astype(int)
        nearest = np.asarray(Image.fromarray(grey).resize((224, 224), Image.Resampling.NEAREST))
        # The copies went through JPEG at quality 75, which alone moves a pixel by two greys.
        assert np.abs(ours - copy).mean() < 4
        assert np.abs(ours - copy).mean() < np.abs(nearest.astype(int) - copy).mean()
