import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.preprocess import Box, PreprocessSpec, locator_input, preprocess
from dicom_files import written
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


@pytest.mark.parametrize("size", [(300, 200), (224, 224), (97, 301)])
def test_box_is_cut_out_between_pixels_as_pillow_does(size: tuple[int, int]) -> None:
    pixels, box = noisy_gradient(size, seed=1), Box(0.125, 0.1, 0.9, 0.75)
    result = preprocess(pixels, PreprocessSpec.of_version(2, size=40), box)
    place = (0.125 * size[0], 0.1 * size[1], 0.9 * size[0], 0.75 * size[1])
    reference = Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC, box=place)
    assert (result.shape, result.dtype) == ((1, 40, 40, 1), np.uint8)
    np.testing.assert_array_equal(result[0, :, :, 0], np.asarray(reference))


def test_box_of_a_film_that_has_the_right_size_is_still_cut_out() -> None:
    pixels = noisy_gradient((224, 224), seed=3)
    spec = PreprocessSpec.of_version(2, size=224)
    assert (preprocess(pixels, spec, Box(0.0, 0.0, 1.0, 0.5))[0, :, :, 0] != pixels).any()
    np.testing.assert_array_equal(preprocess(pixels, spec)[0, :, :, 0], pixels)


def test_box_of_a_few_pixels_is_enlarged() -> None:
    result = preprocess(
        noisy_gradient((64, 64), seed=0), PreprocessSpec(), Box(0.5, 0.5, 0.51, 0.53)
    )
    assert result.shape == (1, 224, 224, 1)


def test_rule_is_that_of_the_version() -> None:
    assert PreprocessSpec.of_version(1, size=224) == PreprocessSpec()
    assert PreprocessSpec.of_version(2, size=224).is_consistent
    assert not replace(PreprocessSpec(), version=2).is_consistent


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (300, 200), (2000, 1500)])
def test_locator_gets_the_whole_film_squashed(size: tuple[int, int]) -> None:
    pixels = np.linspace(0, 255, size[0]).astype(np.uint8)[np.newaxis].repeat(size[1], 0)
    result = locator_input(pixels)
    assert (result.shape, result.dtype) == ((1, 128, 128, 1), np.uint8)
    expected = Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC)
    assert np.abs(result[0, :, :, 0].astype(int) - np.asarray(expected)).max() <= 2


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def containers(pixels: NDArray[np.uint8]) -> dict[str, bytes]:
    """The same greys in every lossless form that is read."""
    grey, wide = Image.fromarray(pixels), Image.fromarray(pixels.astype(np.uint16) * 257)
    turned = Image.Exif()
    turned[0x0112] = 3  # shown upside down
    upside_down = grey.transpose(Image.Transpose.ROTATE_180)
    return {
        "PNG": saved(grey, "PNG"),
        "PNG, 16 bits": saved(wide, "PNG"),
        "PNG, colour": saved(grey.convert("RGB"), "PNG"),
        "PNG, turned": saved(upside_down, "PNG", exif=turned),
        "TIFF": saved(grey, "TIFF"),
        "TIFF, LZW": saved(grey, "TIFF", compression="tiff_lzw"),
        "TIFF, 16 bits": saved(wide, "TIFF"),
        "BMP": saved(grey, "BMP"),
        "WebP": saved(grey.convert("RGB"), "WEBP", lossless=True),
        "DICOM": written(pixels),
        "DICOM, negative": written(255 - pixels, PhotometricInterpretation="MONOCHROME1"),
    }


@given(st.integers(64, 160), st.integers(64, 160), st.integers(0, 1000))
@settings(max_examples=15)
def test_container_makes_no_difference(width: int, height: int, seed: int) -> None:
    pixels = noisy_gradient((width, height), seed=seed)
    expected = preprocess(pixels, PreprocessSpec())
    for name, content in containers(pixels).items():
        found = preprocess(load_grey(content).pixels, PreprocessSpec())
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_resized_originals_come_closer_to_their_copies_than_without_antialiasing(
    shared: Path,
) -> None:
    data = shared / "data"
    for original in sorted((data / "originals").glob("*/*"))[::15]:
        grey = load_grey(original).pixels
        copy = load_grey(data / "chest_xray/train" / original.parent.name / original.name).pixels
        ours = preprocess(grey, PreprocessSpec())[0, :, :, 0].astype(int)
        nearest = np.asarray(Image.fromarray(grey).resize((224, 224), Image.Resampling.NEAREST))
        # The copies went through JPEG at quality 75, which alone moves a pixel by two greys.
        assert np.abs(ours - copy).mean() < 4
        assert np.abs(ours - copy).mean() < np.abs(nearest.astype(int) - copy).mean()
