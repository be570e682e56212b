"""What all tests share: the development images, and small images and bundles made on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from synthetic import noisy_gradient

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development images; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the development images are not here")
    return SHARED


@pytest.fixture(scope="session")
def golden_bundle() -> Path:
    """A tiny bundle of schema version 1, kept as it was written."""
    return Path(__file__).parent / "runtime" / "golden" / "bundle-v1"


@pytest.fixture
def make_image(tmp_path: Path) -> Callable[..., Path]:
    """Write a grey gradient with some noise as an image file."""

    def make(name: str = "film.png", *, size: tuple[int, int] = (96, 80), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy_gradient(size, seed)).save(path)
        return path

    return make
