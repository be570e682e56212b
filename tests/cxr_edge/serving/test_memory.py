"""The server as docs/cxr-edge.service runs it keeps within the unit's memory."""

import io
from collections.abc import Callable
from functools import partial

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import RLELossless

import crafted_dicom
import crafted_images
from dicom_files import written
from serving import UNIT_MB, served

# Files that somebody constructed who has read the code, each as large as any that is taken.
CRAFTED = crafted_images.DEAR | {
    f"DICOM {name}": partial(make, 78_000_000) for name, make in crafted_dicom.COSTLY.items()
}
# As found in the first version of this server, which each of them ended.
NINE = (
    "frame headers", "application segments", "EXIF directory", "empty chunks", "hidden scans",
    "EXIF bomb", "DICOM windows", "DICOM frames", "DICOM empty LUTs",
)  # fmt: skip


def windowed_film() -> bytes:
    """An uncompressed DICOM film of 30 million samples of 16 bits, which takes 60 MB."""
    rows = np.linspace(0, 4095, 5000).astype(np.uint16)[:, np.newaxis]
    samples = np.repeat(rows, 6000, axis=1)
    return crafted_dicom.film(samples, stored=12, high=11, center="2048", width="2000")


def compressed_film() -> bytes:
    """A DICOM film of 16 million samples of 16 bits, in RLE."""
    rows = np.linspace(0, 4095, 4000).astype(np.uint16)[:, np.newaxis]
    dataset = pydicom.dcmread(io.BytesIO(written(np.repeat(rows, 4000, axis=1))))
    dataset.compress(RLELossless)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def large_film(seed: int) -> bytes:
    """A grey JPEG of 29 million pixels, of the largest that are taken."""
    coarse = np.random.default_rng(seed).integers(0, 256, (64, 50), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((4800, 6080), Image.Resampling.BILINEAR).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("query", ["", "force=true&map=true&picture=true"])
def test_two_of_the_largest_grey_films_at_once_fit_into_the_units_memory(query: str) -> None:
    done = served(*map(large_film, range(2)), query=query)
    assert done.statuses == [200] * 2
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 60


@pytest.mark.parametrize(
    "make",
    [
        windowed_film,
        compressed_film,
        partial(crafted_images.large_film, "CMYK", "JPEG"),
        partial(crafted_images.large_film, "I;16", "TIFF"),
    ],
    ids=["windowed DICOM", "compressed DICOM", "CMYK on its side", "TIFF of 16 bits on its side"],
)
def test_two_of_the_dearest_kinds_of_film_at_once_fit_into_the_units_memory(
    make: Callable[[], bytes],
) -> None:
    done = served(make, make, query="force=true")
    assert done.statuses == [200] * 2
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 2 * 60


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (partial(crafted_dicom.jpeg_2000_film, 4000), 200),
        (partial(crafted_dicom.COSTLY["filled frame"], 78_000_000), 422),
    ],
    ids=["noisy", "filled up"],
)
def test_compressed_film_fits_into_the_units_memory_while_a_body_of_80_mb_waits(
    make: Callable[[], bytes], status: int
) -> None:
    longest = partial(crafted_dicom.COSTLY["private pixels"], 79_900_000)
    done = served(make, longest, query="force=true")
    assert done.statuses == [status, 200]
    # 409 and 271 were measured.
    assert done.peak_mb < UNIT_MB


@pytest.mark.parametrize(
    "names", [NINE, pytest.param(tuple(CRAFTED), marks=pytest.mark.slow)], ids=["nine", "all"]
)
def test_constructed_files_are_refused_within_the_units_memory(names: tuple[str, ...]) -> None:
    film = large_film(0)
    done = served(*(CRAFTED[name] for name in names), film)
    assert done.statuses[-1] == 200
    assert done.peak_mb < UNIT_MB
    assert done.cpu_seconds < 60 * len(names)
    for status, result in zip(done.statuses[:-1], done.results):
        assert status in (200, 422)
        assert "Error" not in result.get("error", {}).get("kind", "")
