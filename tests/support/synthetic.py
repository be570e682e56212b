"""Images and data sets drawn for tests; nothing here looks like a chest."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from cxr_edge_train.cleaning.scanning import ScannedFile


def noisy_gradient(size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """``[height, width] uint8`` for ``size = (width, height)``."""
    width, height = size
    ramp = np.linspace(0, 200, width)[np.newaxis, :].repeat(height, axis=0)
    noise = np.random.default_rng(seed).integers(0, 55, size=(height, width))
    return (ramp + noise).astype(np.uint8)


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    """The bytes of an image's file."""
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def jpeg_with_exif(pixels: NDArray[np.uint8]) -> bytes:
    """A JPEG of ``[H, W] uint8`` that is upright when turned a quarter clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation
    exif[0x010E] = "a film"
    return encoded(Image.fromarray(pixels), "JPEG", exif=exif)


def draw_dataset(folder: Path, *, patients: int, test_patients: int = 0) -> Path:
    """A data set in the Kaggle layout, two images a patient and label, 64x64 PNG.

    PNEUMONIA has a bright square in the middle, so that a network can learn it. All have blotches,
    so that no two are near-duplicates.
    """
    for split, count, first in (("train", patients, 0), ("test", test_patients, 10_000)):
        for number in range(first, first + count):
            for image in range(2):
                seed = 2 * number + image
                normal = _blotched(noisy_gradient((64, 64), seed), seed)
                _save(normal, folder / split / "NORMAL" / f"IM-{number:04}-{image:04}.png")
                opaque = _blotched(noisy_gradient((64, 64), seed + 5_000), seed + 5_000)
                opaque[20:44, 20:44] = 230
                kind = "virus" if number % 3 else "bacteria"
                name = f"person{number}_{kind}_{image}.png"
                _save(opaque, folder / split / "PNEUMONIA" / name)
    return folder


def _blotched(pixels: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    blotches = np.random.default_rng(seed).integers(-40, 41, (8, 8)).repeat(8, 0).repeat(8, 1)
    # Darker than the square, so that a model of few steps tells both apart, too.
    return np.clip(pixels + blotches, 0, 200).astype(np.uint8)


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def scanned_file(
    path: str,
    md5: str,
    *,
    label: str = "NORMAL",
    patient: str = "",
    thumbnail: NDArray[np.uint8] | None = None,
    size: tuple[int, int] = (64, 64),
    n_bytes: int = 1,
    mode: str = "L",
    jpeg_step: float | None = None,
) -> "ScannedFile":
    """A usable image as scanning finds it; the split is the first folder of ``path``."""
    from cxr_edge_train.cleaning.scanning import ScannedFile
    from cxr_edge_train.dataset.metadata import ImageRecord

    split = path.split("/")[0]
    width, height = size
    record = ImageRecord(
        path, split, label, "unknown", patient, md5, width, height, mode, n_bytes, jpeg_step
    )
    pixels = np.zeros((32, 32), np.uint8) if thumbnail is None else thumbnail
    return ScannedFile(split, label, record, pixels.tobytes())
