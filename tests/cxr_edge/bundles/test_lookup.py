import shutil
from pathlib import Path

import pytest

import cxr_edge_models
from cxr_edge.bundles.install import install, roll_back
from cxr_edge.bundles.lookup import installed_bundles, load_bundle
from cxr_edge_runtime.errors import BundleCorrupted, BundleNotFound
from installable import make_archive, make_bundle


@pytest.fixture
def installed(golden_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed bundles, with versions 1 and 2."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for version in "12":
        bundle = make_bundle(golden_bundle, tmp_path / version, version=version)
        archive = make_archive(bundle, tmp_path / f"{version}.cxr.zip")
        install(archive, installed_bundles(), check=None, smoke_test=lambda bundle: None)
    return installed_bundles()


def test_folder_is_that_of_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert installed_bundles() == Path("/data/cxr-edge/bundles")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert installed_bundles() == Path.home() / ".local/share/cxr-edge/bundles"


def test_relative_folder_of_the_users_data_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the XDG specification says; else the bundle in use depends on where the user stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert installed_bundles() == Path.home() / ".local/share/cxr-edge/bundles"


def test_default_is_the_shipped_bundle_where_none_is_installed() -> None:
    assert load_bundle(None).path == cxr_edge_models.path(cxr_edge_models.DEFAULT)


def test_default_is_the_installed_bundle(installed: Path) -> None:
    assert load_bundle(None).path == installed / "0002"
    roll_back(installed)
    assert load_bundle(None).path == installed / "0001"
    assert load_bundle("tiny").path == cxr_edge_models.path("tiny")


def test_damaged_installation_is_not_passed_over_in_silence(installed: Path) -> None:
    (installed / "0002" / "model.tflite").write_bytes(b"")
    with pytest.raises(BundleCorrupted):
        load_bundle(None)
    shutil.rmtree(installed / "0002")
    with pytest.raises(BundleNotFound):
        load_bundle(None)


@pytest.mark.parametrize("named", [True, False])
def test_bundle_in_use_stays_itself_when_another_is_installed(installed: Path, named: bool) -> None:
    bundle = load_bundle(str(installed / "current") if named else None)
    roll_back(installed)
    assert bundle.manifest.version == "2"
    assert bundle.read("selftest.npz")
    assert load_bundle(str(installed / "current")).manifest.version == "1"


def test_archive_is_not_taken_for_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "a.cxr.zip").write_bytes(b"")
    with pytest.raises(
        BundleNotFound, match="is a file; install an archive first, with cxr-edge inst"
    ):
        load_bundle(str(tmp_path / "a.cxr.zip"))


def test_missing_archive_is_said_to_be_no_file(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match=r"none\.cxr\.zip: no such file$"):
        load_bundle(str(tmp_path / "none.cxr.zip"))


def test_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(
        BundleNotFound, match="choose one of mobilenetv2-int8, mobilenetv2-onnx-int8"
    ):
        load_bundle("nonsense")


def test_folder_that_is_no_bundle_says_what_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with pytest.raises(BundleNotFound, match=r"it is a run: make bundles of it with cxr-edge conv"):
        load_bundle(tmp_path)
    (tmp_path / "run.json").unlink()
    for name in ("int8", "float32"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").touch()
    with pytest.raises(BundleNotFound, match=r"; name one of those in it: float32, int8$"):
        load_bundle(tmp_path)
