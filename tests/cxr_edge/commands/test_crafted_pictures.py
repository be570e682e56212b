"""Files built to be dear, and the largest films that are taken: memory and processor time."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from crafted_images import DEAR, large_film
from synthetic import noisy_gradient
from usage import classify

# A Raspberry Pi Zero 2 W has 512 MB and is 10 to 20 times slower.
MAX_MB, MAX_CPU_SECONDS = 400, 60


# One of each kind; .ci/full tries all.
FIRST = ("frame headers", "hidden scans", "EXIF bomb", "EXIF directory", "overlapping pages",
         "empty chunks", "WebP chunks", "BMP runs")  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=() if name in FIRST else pytest.mark.slow)
        for name, make in DEAR.items()
    ],
)
def test_file_built_to_be_dear_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[], bytes]
) -> None:
    crafted = tmp_path / "film"
    crafted.write_bytes(make())
    found = classify(crafted)
    crafted.unlink()
    [line] = found.err.splitlines()
    assert line.startswith(f"cxr-edge: {crafted}: ")
    assert found.code == 1
    assert found.peak_mb < MAX_MB
    assert found.cpu_seconds < MAX_CPU_SECONDS


def test_other_films_of_the_call_are_answered(tmp_path: Path) -> None:
    crafted, film = tmp_path / "film.tif", tmp_path / "film.png"
    crafted.write_bytes(DEAR["repeated values"]())
    Image.fromarray(noisy_gradient((96, 80), 0)).save(film)
    found = classify(crafted, film)
    assert found.code == 3
    assert str(film) in found.out
    assert str(crafted) in found.err


@pytest.mark.parametrize(
    ("mode", "format_", "options"),
    [
        ("CMYK", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "PNG", {"compress_level": 1, "transparency": (1, 2, 3)}),
        ("I;16", "TIFF", {}),
    ],
)
def test_film_of_thirty_megapixels_lying_on_its_side_is_answered(
    tmp_path: Path, mode: str, format_: str, options: dict[str, object]
) -> None:
    film = tmp_path / "film"
    film.write_bytes(large_film(mode, format_, **options))
    found = classify("--force", film)
    assert found.code == 0, found.err
    assert found.peak_mb < MAX_MB
    assert found.cpu_seconds < MAX_CPU_SECONDS


@pytest.mark.parametrize(
    ("mode", "format_", "options"),
    [
        ("CMYK", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
        ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_film_that_is_too_dear_as_it_is_stored_is_refused_before_it_is_decoded(
    tmp_path: Path, mode: str, format_: str, options: dict[str, object]
) -> None:
    film = tmp_path / "film"
    film.write_bytes(large_film(mode, format_, **options))
    found = classify(film)
    assert found.code == 1
    assert "pixels stored in this way take" in found.err
    assert "export it as a grey PNG" in found.err
    assert found.peak_mb < 150
