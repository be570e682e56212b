import errno
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

import cxr_edge_models
from cxr_edge_runtime.bundle.archive import Archive
from locators import located_bundle


def test_intact_bundle_is_verified_file_by_file(cxr_edge: Any) -> None:
    outcome = cxr_edge("verify")
    assert outcome.code == 0, outcome.err
    verdict, *listed, lost, after = outcome.out.splitlines()
    names = [line.split()[1].rstrip(",") for line in listed]
    assert lost.startswith("lost       recall 0.0025 (2 of 788 images net, limit 0.01), ")
    folder = cxr_edge_models.path(cxr_edge_models.DEFAULT)
    assert {*names, "bundle.json.sha256"} == {path.name for path in folder.iterdir()}
    assert verdict.startswith("OK: mobilenetv2-int8 ")
    assert after == "next: cxr-edge selftest"
    assert cxr_edge("verify", "tiny").out.endswith("\nnext: cxr-edge selftest tiny\n")


def test_bundle_without_golden_films_is_intact(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("verify", golden_bundle)
    assert outcome.code == 0, outcome.err
    assert "selftest.npz" not in outcome.out
    assert outcome.out.startswith("OK: tiny-int8 ")
    assert "next:" not in outcome.out


@pytest.mark.parametrize("name", ["gate.npz", "selftest.npz", "model.tflite", "MODEL_CARD.md"])
def test_one_changed_bit_is_found(cxr_edge: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(cxr_edge_models.path(cxr_edge_models.DEFAULT), folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    outcome = cxr_edge("verify", folder)
    assert outcome.code == 1
    assert outcome.out == ""
    assert f"{name}: differs from its recorded SHA-256" in outcome.err


def test_changed_bit_of_the_lung_locator_is_found_in_one_line(
    cxr_edge: Any, tmp_path: Path
) -> None:
    located = located_bundle(tmp_path / "located")
    intact = cxr_edge("verify", located)
    assert intact.code == 0, intact.err
    assert "locator    locator.tflite, " in intact.out
    content = bytearray((located / "locator.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (located / "locator.tflite").write_bytes(content)
    outcome = cxr_edge("verify", located)
    assert (outcome.code, outcome.out) == (1, "")
    assert "locator.tflite: differs from its recorded SHA-256" in outcome.err
    assert outcome.err.count("\n") == 1


def test_archive_keeps_the_lung_locator(cxr_edge: Any, tmp_path: Path) -> None:
    located = located_bundle(tmp_path / "located")
    packed = cxr_edge("pack", located, "-o", tmp_path / "a.cxr.zip")
    assert packed.code == 0, packed.err
    outcome = cxr_edge("verify", tmp_path / "a.cxr.zip")
    assert outcome.code == 0, outcome.err
    assert "locator    locator.tflite, " in outcome.out


def test_archive_is_verified_like_its_folder(cxr_edge: Any, tmp_path: Path) -> None:
    assert cxr_edge("pack", "-o", tmp_path / "a.cxr.zip").code == 0
    outcome = cxr_edge("verify", tmp_path / "a.cxr.zip")
    assert outcome.code == 0, outcome.err
    verdict, *rest = cxr_edge("verify").out.splitlines()
    after = f"next: cxr-edge install {tmp_path / 'a.cxr.zip'} --unsigned"
    assert outcome.out.splitlines() == [verdict, "not signed", *rest[:-1], after]


def test_signature_that_nobody_checked_is_said(cxr_edge: Any, archives: Any) -> None:
    outcome = cxr_edge("verify", archives.first)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[1] == "signed, not checked: name the signer's key with --key"
    assert lines[-1] == f"next: cxr-edge install {archives.first} --key PUBLIC_KEY"


def test_signature_is_checked_with_the_key(cxr_edge: Any, archives: Any, keys: Any) -> None:
    outcome = cxr_edge("verify", archives.first, "--key", keys.public)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[1] == f"signed: with the private key of {keys.public}"
    outcome = cxr_edge("verify", archives.first, "--key", keys.other)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"{archives.first}: is not signed with this key" in outcome.err
    outcome = cxr_edge("verify", archives.unsigned, "--key", keys.public)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"{archives.unsigned}: is not signed; sign it when" in outcome.err


def test_signature_of_an_installed_bundle_is_checked(
    cxr_edge: Any, archives: Any, keys: Any, tmp_path: Path
) -> None:
    into = tmp_path / "bundles"
    assert cxr_edge("install", archives.first, "--unsigned", "--into", into).code == 0
    assert cxr_edge("verify", into / "current", "--key", keys.public).code == 0
    assert cxr_edge("verify", into / "current", "--key", keys.other).code == 1
    signature = into / "0001" / "bundle.json.sig"
    signature.write_bytes(b"short")
    outcome = cxr_edge("verify", into / "current", "--key", keys.public)
    assert outcome.code == 1
    assert "bundle.json.sig: not a signature, which has 64 bytes" in outcome.err
    signature.unlink()
    outcome = cxr_edge("verify", into / "current", "--key", keys.public)
    assert outcome.code == 1
    assert "current: is not signed" in outcome.err


def test_damaged_archive_is_refused_in_one_line(
    cxr_edge: Any, archives: Any, tmp_path: Path
) -> None:
    content = bytearray(archives.first.read_bytes())
    content[content.index(b"TFL3") + 100] ^= 1
    (tmp_path / "a.cxr.zip").write_bytes(content)
    outcome = cxr_edge("verify", tmp_path / "a.cxr.zip")
    assert (outcome.code, outcome.out) == (1, "")
    assert "a.cxr.zip: model.tflite is damaged; copy the archive again" in outcome.err
    assert outcome.err.count("\n") == 1


def test_missing_archive_is_said_to_be_no_file(cxr_edge: Any, tmp_path: Path) -> None:
    outcome = cxr_edge("verify", tmp_path / "none.cxr.zip")
    assert outcome.code == 1
    assert outcome.err == f"cxr-edge: {tmp_path / 'none.cxr.zip'}: no such file\n"


_ADVICE = "make room there, or set TMPDIR to another folder\n"


def test_full_disk_under_temporary_files_is_named(
    cxr_edge: Any, archives: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(archive: Archive, folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Archive, "unpack", fill)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcome = cxr_edge("verify", archives.first)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"cxr-edge: {tmp_path}: No space left on device; {_ADVICE}"


def test_device_without_room_for_any_temporary_file_is_told_what_to_do(
    cxr_edge: Any, archives: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "gettempdir", find_none)
        outcome = cxr_edge("verify", archives.first)
    assert outcome.code == 1
    assert outcome.err == f"cxr-edge: No usable temporary directory found in ['/tmp']; {_ADVICE}"
