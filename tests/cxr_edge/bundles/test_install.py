import errno
import fcntl
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cxr_edge.bundles.install import install, roll_back
from cxr_edge_runtime.bundle import MANIFEST, Bundle
from cxr_edge_runtime.bundle.archive import Archive
from cxr_edge_runtime.errors import (
    BundleCorrupted,
    BundleInvalid,
    BundleNotFound,
    InstallationError,
    InvalidRequest,
    LimitMissed,
    SignatureInvalid,
)
from installable import in_use, make_archive, make_bundle, put


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put_in_vain(archive: Path, folder: Path) -> None:
    def fail(bundle: Path) -> None:
        raise InstallationError("not here")

    with pytest.raises(InstallationError, match="not here"):
        install(archive, folder, check=None, smoke_test=fail)


def forbid_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no model can be removed, nor what holds one."""
    unlink = os.unlink

    def refuse(path: str, *, dir_fd: int | None = None) -> None:
        if Path(path).name == "model.tflite":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)


def test_bundle_is_installed_and_the_one_before_is_kept(
    archives: dict[str, Path], folder: Path
) -> None:
    for version, names in (("1", ["0001"]), ("2", ["0001", "0002"]), ("3", ["0002", "0003"])):
        done = put(archives[version], folder)
        assert (done.changed, done.manifest.version) == (True, version)
        assert done.path == folder / names[-1]
        assert Bundle.load(done.path).digest == done.digest
        assert left(folder) == [".lock", *names, "current"]
        assert str((folder / "current").readlink()) == names[-1]


def test_bundle_in_use_is_not_installed_again(archives: dict[str, Path], folder: Path) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    done = put(archives["2"], folder)
    assert (done.changed, done.path) == (False, folder / "0002")
    assert left(folder) == [".lock", "0001", "0002", "current"]


def test_same_bundle_with_a_signature_is_another(
    archives: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    put(archives["1"], folder)
    bundle = Bundle.load(folder / "current")
    signed = make_archive(bundle, tmp_path / "signed.cxr.zip", signature=b"s" * 64)
    assert put(signed, folder).changed
    assert not put(signed, folder).changed
    assert Bundle.load(folder / "current").signature() == b"s" * 64


def test_rollback_goes_to_the_bundle_before_and_no_further(
    archives: dict[str, Path], folder: Path
) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    done = roll_back(folder)
    assert (done.path, in_use(folder)) == (folder / "0001", "1")
    with pytest.raises(InstallationError, match="no bundle to go back to; nothing was changed"):
        roll_back(folder)
    assert in_use(folder) == "1"


def test_number_is_not_given_twice(archives: dict[str, Path], folder: Path) -> None:
    """Who still reads 0002 must not find another bundle there."""
    put(archives["1"], folder)
    put(archives["2"], folder)
    roll_back(folder)
    put_in_vain(archives["3"], folder)
    assert not put(archives["1"], folder).changed
    assert put(archives["3"], folder).path == folder / "0003"
    assert left(folder) == [".lock", "0001", "0003", "current"]


def test_what_cannot_be_removed_is_told_and_stops_no_install(
    archives: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    with monkeypatch.context() as patch:
        forbid_removal(patch)
        assert put(archives["3"], folder).left == (folder / ".going-0001",)
        put_in_vain(archives["4"], folder)
        done = put(archives["4"], folder)
    assert (done.changed, done.path, in_use(folder)) == (True, folder / "0005", "4")
    stuck = [".going-0001", ".going-0002", ".new-0004"]
    assert sorted(done.left) == [folder / name for name in stuck]
    assert left(folder) == sorted([*stuck, ".lock", "0003", "0005", "current"])
    done = put(archives["4"], folder)
    assert (done.changed, done.left) == (False, ())
    assert left(folder) == [".lock", "0003", "0005", "current"]


def test_old_bundle_that_cannot_even_be_renamed_stops_no_install(
    archives: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "0001":
            raise OSError(errno.EIO, "Input/output error", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert put(archives["3"], folder).left == (folder / "0001",)
    assert put(archives["4"], folder).left == (folder / "0001",)
    assert left(folder) == [".lock", "0001", "0003", "0004", "current"]


@pytest.mark.parametrize("unreadable", ["0001", "0002"])
def test_bad_spot_of_the_disk_stops_no_install(
    archives: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    is_file = Path.is_file

    def fail(path: Path) -> bool:
        if path.parent.name == unreadable:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", fail)
    assert put(archives["3"], folder).changed
    assert in_use(folder) == "3"


def test_lost_link_loses_no_bundle(archives: dict[str, Path], folder: Path) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    (folder / "current").unlink()
    put_in_vain(archives["3"], folder)
    assert left(folder) == [".lock", "0001", "0002"]
    assert roll_back(folder).path == folder / "0002"
    (folder / "current").unlink()
    put(archives["3"], folder)
    assert left(folder) == [".lock", "0002", "0003", "current"]


def test_bundle_that_is_installed_twice_is_not_gone_back_to(
    archives: dict[str, Path], folder: Path
) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    (folder / "current").unlink()
    assert put(archives["2"], folder).path == folder / "0003"
    assert left(folder) == [".lock", "0001", "0003", "current"]


def test_nothing_to_go_back_to_makes_no_folder(folder: Path) -> None:
    with pytest.raises(InstallationError, match="no bundle to go back to"):
        roll_back(folder)
    assert not folder.exists()


def test_rollback_passes_over_a_damaged_bundle(archives: dict[str, Path], folder: Path) -> None:
    put(archives["1"], folder)
    put(archives["2"], folder)
    (folder / "0001" / "model.tflite").write_bytes(b"")
    with pytest.raises(InstallationError, match="no bundle to go back to"):
        roll_back(folder)
    assert in_use(folder) == "2"


@pytest.mark.parametrize("damage", ["gone", "manifest", "link", "no link"])
def test_good_bundle_is_installed_over_a_damaged_one(
    archives: dict[str, Path], folder: Path, damage: str
) -> None:
    for version in "12":
        put(archives[version], folder)
    if damage == "gone":
        shutil.rmtree(folder / "0002")
    elif damage == "manifest":
        (folder / "0002" / MANIFEST).write_bytes(b"{")
    else:
        (folder / "current").unlink()
        if damage == "link":
            (folder / "current").symlink_to("/nowhere")
    put(archives["2"], folder)
    assert in_use(folder) == "2"
    if damage in ("gone", "manifest"):
        # The older one is whole, so it is what a rollback finds.
        assert left(folder) == [".lock", "0001", "0003", "current"]
        roll_back(folder)
        assert in_use(folder) == "1"


def test_folder_in_the_place_of_the_link_is_not_touched(
    archives: dict[str, Path], folder: Path
) -> None:
    (folder / "current").mkdir(parents=True)
    (folder / ".lock").touch()
    with pytest.raises(InvalidRequest, match="is not a folder of installed bundles"):
        put(archives["1"], folder)
    assert left(folder) == [".lock", "current"]
    # Also where there are bundles beside it.
    (folder / "0001").mkdir()
    (folder / "0001" / "bundle.json").touch()
    with pytest.raises(InstallationError, match="is not a link made by install; move it away"):
        put(archives["1"], folder)
    assert left(folder) == [".lock", "0001", "current"]


@pytest.mark.parametrize("name", ["0001", "film.jpeg"])
def test_folder_of_other_files_is_not_tidied_up(
    archives: dict[str, Path], folder: Path, name: str
) -> None:
    (folder / name).mkdir(parents=True)
    for act in (lambda: put(archives["1"], folder), lambda: roll_back(folder)):
        with pytest.raises(InvalidRequest, match=f"installed bundles, since it contains {name};"):
            act()
    assert left(folder) == [name]


def test_file_in_the_place_of_the_folder_is_said_to_be_one(
    archives: dict[str, Path], folder: Path
) -> None:
    folder.write_text("mine")
    for act in (lambda: put(archives["1"], folder), lambda: roll_back(folder)):
        with pytest.raises(InvalidRequest, match="bundles: is a file, not a folder"):
            act()
    assert folder.read_text() == "mine"


@pytest.mark.parametrize("error", [LimitMissed, InstallationError])
def test_bundle_that_fails_its_smoke_test_leaves_the_old_one(
    archives: dict[str, Path], folder: Path, error: type[Exception]
) -> None:
    put(archives["1"], folder)

    def fail(bundle: Path) -> None:
        assert Bundle.load(bundle).manifest.version == "2"
        assert in_use(folder) == "1"
        raise error("not here")

    with pytest.raises(error, match=r"2\.cxr\.zip: fails on this device, so nothing was changed"):
        install(archives["2"], folder, check=None, smoke_test=fail)
    assert (in_use(folder), left(folder)) == ("1", [".lock", "0001", "current"])


def test_refused_signature_leaves_the_old_one(archives: dict[str, Path], folder: Path) -> None:
    put(archives["1"], folder)

    def refuse(manifest: bytes, signature: bytes | None) -> None:
        raise SignatureInvalid("not signed")

    with pytest.raises(SignatureInvalid):
        install(archives["2"], folder, check=refuse, smoke_test=lambda bundle: None)
    assert (in_use(folder), left(folder)) == ("1", [".lock", "0001", "current"])


def test_damaged_archive_leaves_the_old_one(
    archives: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    put(archives["1"], folder)
    (tmp_path / "cut.cxr.zip").write_bytes(archives["2"].read_bytes()[:-2000])
    with pytest.raises(BundleCorrupted, match="cut off after"):
        put(tmp_path / "cut.cxr.zip", folder)
    assert (in_use(folder), left(folder)) == ("1", [".lock", "0001", "current"])


def test_bundle_without_golden_films_cannot_be_installed(
    golden_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    archive = make_archive(Bundle.load(golden_bundle), tmp_path / "a.cxr.zip")
    with pytest.raises(BundleInvalid, match=r"a\.cxr\.zip: has no golden films"):
        put(archive, folder)
    assert left(folder) == [".lock"]


def test_second_install_at_the_same_time_is_refused(
    archives: dict[str, Path], folder: Path
) -> None:
    put(archives["1"], folder)
    with (folder / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for act in (lambda: put(archives["2"], folder), lambda: roll_back(folder)):
            with pytest.raises(InstallationError, match="another install is running here"):
                act()
    assert put(archives["2"], folder).changed


def test_full_disk_is_said_before_anything_is_unpacked(
    archives: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(InstallationError, match="1,000 bytes are free, the bundle needs"):
        put(archives["1"], folder)
    assert left(folder) == [".lock"]


def test_disk_that_fills_up_while_unpacking_is_named(
    archives: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(archives["1"], folder)

    def fill(archive: Archive, new: Path) -> None:
        (new / "model.tflite").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Archive, "unpack", fill)
    with pytest.raises(OSError, match="No space left on device; make room first") as raised:
        put(archives["2"], folder)
    assert raised.value.filename == str(folder)
    assert (in_use(folder), left(folder)) == ("1", [".lock", "0001", "current"])


def test_bundle_in_use_needs_no_room(
    archives: dict[str, Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(archives["1"], folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert not put(archives["1"], folder).changed


def test_missing_archive_makes_no_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match="no such file"):
        put(tmp_path / "none.cxr.zip", folder)
    assert not folder.exists()


def test_real_smoke_test_passes_on_this_device(
    archives: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A path that begins as an option does.
    assert install(archives["1"], Path("-foo"), check=None).changed


def test_real_smoke_test_finds_a_device_that_computes_something_else(
    golden_bundle: Path, archives: dict[str, Path], folder: Path, tmp_path: Path
) -> None:
    put(archives["1"], folder)
    other = make_bundle(golden_bundle, tmp_path / "b", version="2", shift=0.2)
    with pytest.raises(LimitMissed, match=r"nothing was changed: \d of 2 golden films differ"):
        install(make_archive(other, tmp_path / "a.cxr.zip"), folder, check=None)
    assert (in_use(folder), left(folder)) == ("1", [".lock", "0001", "current"])


def test_folder_with_a_lock_and_films_is_no_folder_of_bundles(
    archives: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "mine" / "0001").mkdir(parents=True)
    (tmp_path / "mine" / ".lock").touch()
    (tmp_path / "mine" / "0001" / "film.dcm").touch()
    with pytest.raises(InvalidRequest, match="is not a folder of installed bundles"):
        install(archives["1"], tmp_path / "mine", check=None)
    assert (tmp_path / "mine" / "0001" / "film.dcm").exists()
