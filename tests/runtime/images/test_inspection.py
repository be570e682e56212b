import numpy as np
import pytest
from PIL import Image

from cxr_edge_runtime.errors import ImageError
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.inspection import inspect
from synthetic import encoded, noisy_gradient


@pytest.fixture
def grey() -> np.ndarray:
    return noisy_gradient((90, 70), seed=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1001, 1003), (400, 100), (100, 64)])
def test_inspection_tells_upright_size_and_shows_the_upright_image(
    size: tuple[int, int], orientation: int
) -> None:
    ramp = np.linspace(0, 255, size[0], dtype=np.uint8)[np.newaxis, :].repeat(size[1], axis=0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(ramp), "JPEG", quality=95, exif=exif)
    pixels = load_grey(content).pixels
    inspection = inspect(content, side=32)
    assert (inspection.height, inspection.width) == pixels.shape
    expected = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BOX)
    assert inspection.thumbnail.dtype == np.uint8
    np.testing.assert_allclose(inspection.thumbnail.astype(int), np.asarray(expected), atol=4)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_inspection_knows_mode_and_step_of_a_jpeg(
    grey: np.ndarray, format_: str, mode: str
) -> None:
    inspection = inspect(encoded(Image.fromarray(grey).convert(mode), format_), side=32)
    assert inspection.mode == (mode if format_ != "WEBP" else "RGB")
    # The luma table of libjpeg at Pillow's default quality of 75.
    assert inspection.jpeg_step == (29.03125 if format_ == "JPEG" else None)


def test_inspection_lays_transparency_over_black_and_scales_sixteen_bits(grey: np.ndarray) -> None:
    clear = Image.merge("LA", [Image.fromarray(grey), Image.new("L", grey.shape[::-1], 0)])
    assert inspect(encoded(clear, "PNG"), side=32).thumbnail.max() == 0
    bright = Image.fromarray(np.full((64, 64), 65535, np.uint16))
    assert inspect(encoded(bright, "PNG"), side=32).thumbnail.min() == 255


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_inspection_refuses_what_decoding_refuses(
    grey: np.ndarray, mode: str, progressive: bool
) -> None:
    whole = encoded(Image.fromarray(grey).convert(mode), "JPEG", progressive=progressive)
    random = np.random.default_rng(0)
    refused = 0
    for length in [*range(2, len(whole), max(1, len(whole) // 60)), len(whole)]:
        for damage in (False, True):
            content = bytearray(whole[:length])
            if damage:
                content[int(random.integers(len(content)))] ^= 0xFF
            errors = []
            for check in (load_grey, lambda damaged: inspect(damaged, side=32)):
                try:
                    check(bytes(content))
                    errors.append(None)
                except ImageError as error:
                    errors.append(str(error))
            assert errors[0] == errors[1]
            refused += errors[0] is not None
    assert refused > 50
