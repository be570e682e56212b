"""What crafted DICOM files and the largest films may take; each is given to the command."""

from pathlib import Path

import numpy as np
import pytest

import usage
from crafted_dicom import COSTLY, film, jpeg_2000_film

# Of 512 MB that the smallest device has; and a minute of it.
MAX_MB, MAX_CPU_SECONDS = 400, 60
# So many bytes took a reader that believes them a gigabyte or a minute.
N_BYTES = 8_000_000


# One of each kind; .ci/full tries all.
FIRST = ("windows", "frames", "character sets of items", "empty LUTs", "depth", "JPEG scans",
         "JPEG 2000 tiles")  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in COSTLY],
)
def test_crafted_file_costs_little(name: str, tmp_path: Path) -> None:
    path = tmp_path / "crafted.dcm"
    path.write_bytes(COSTLY[name](N_BYTES))
    done = usage.classify(path, "--json")
    assert done.peak_mb < MAX_MB
    assert done.cpu_seconds < MAX_CPU_SECONDS
    assert done.code in (0, 1)
    assert len(done.out.splitlines()) == 1
    assert "Traceback" not in done.err
    assert "\\1" not in done.out


def test_frame_that_is_filled_up_is_not_decompressed(tmp_path: Path) -> None:
    path = tmp_path / "crafted.dcm"
    path.write_bytes(COSTLY["filled frame"](78_000_000))
    done = usage.classify(path)
    assert "a compressed frame larger than its samples" in done.err
    # 174 were measured: the file, and what the command takes for any film.
    assert done.peak_mb < 230


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "fits"), [(256, True), (32_768, False)])
def test_largest_compressed_film_of_16_bits_fits_into_memory_or_is_told_not_to(
    noise: int, fits: bool, tmp_path: Path
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(jpeg_2000_film(4000, noise=noise))
    done = usage.classify(path, "--force")
    assert (done.code == 0) == fits
    assert ("not enough memory to decompress its 32 MB" in done.err) != fits
    # 329 and 290 were measured.
    assert done.peak_mb < MAX_MB


@pytest.mark.parametrize("has_window", [True, False])
def test_largest_film_of_16_bits_fits_into_memory(has_window: bool, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    rows = np.linspace(0, 4095, 5000).astype(np.uint16)[:, np.newaxis]
    window = {"center": "2048", "width": "2000"} if has_window else {}
    path.write_bytes(film(np.repeat(rows, 6000, axis=1), stored=12, high=11, **window))
    done = usage.classify(path, "--json")
    assert done.code == 0
    # 154 were measured: the file, the greys, and what the command takes for any film.
    assert done.peak_mb < 250
