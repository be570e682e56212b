from pathlib import Path

import pytest

from installable import make_archive, make_bundle


@pytest.fixture(scope="session")
def archives(golden_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Archives of versions 1 to 4 of a bundle."""
    folder = tmp_path_factory.mktemp("archives")
    return {
        version: make_archive(
            make_bundle(golden_bundle, folder / version, version=version),
            folder / f"{version}.cxr.zip",
        )
        for version in "1234"
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "bundles"
