import errno
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.bundles import packing


def test_archive_is_named_with_all_that_tells_it_from_others(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, keys: Any
) -> None:
    output = tmp_path / "new" / "a.cxr.zip"
    outcome = cxr_edge("pack", golden_bundle, "-o", output, "--sign", keys.private)
    assert (outcome.code, outcome.err) == (0, "")
    content = output.read_bytes()
    digest = hashlib.sha256((golden_bundle / "bundle.json").read_bytes()).hexdigest()
    sha256 = hashlib.sha256(content).hexdigest()
    assert outcome.out.splitlines() == [
        "packed     tiny-int8 1",
        f"digest     {digest}",
        f"signed     with {keys.private}",
        f"file       {output}, {len(content):,} bytes, SHA-256 {sha256}",
        f"next: cxr-edge install {output} --key PUBLIC_KEY",
    ]


def test_same_bundle_and_key_give_the_same_bytes(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, keys: Any
) -> None:
    copy = shutil.copytree(golden_bundle, tmp_path / "copy", copy_function=shutil.copyfile)
    archives = []
    for folder, mask, output in ((golden_bundle, 0o022, "a"), (copy, 0o077, "b")):
        before = os.umask(mask)
        try:
            path = tmp_path / f"{output}.cxr.zip"
            assert cxr_edge("pack", folder, "-o", path, "--sign", keys.private).code == 0
        finally:
            os.umask(before)
        archives.append(path.read_bytes())
    assert archives[0] == archives[1]


def test_default_bundle_is_packed_without_a_name(cxr_edge: Any, tmp_path: Path) -> None:
    outcome = cxr_edge("pack", "-o", tmp_path / "a.cxr.zip")
    assert outcome.out.splitlines()[0].startswith("packed     mobilenetv2-int8 ")
    assert outcome.out.splitlines()[2] == "signed     no"


def test_signature_of_an_installed_bundle_is_kept(
    cxr_edge: Any, tmp_path: Path, archives: Any, keys: Any
) -> None:
    assert cxr_edge("install", archives.first, "--key", keys.public).code == 0
    outcome = cxr_edge("pack", "-o", tmp_path / "again.cxr.zip")
    assert "signed     before; the signature was kept and not checked\n" in outcome.out
    assert (tmp_path / "again.cxr.zip").read_bytes() == archives.first.read_bytes()


def test_earlier_archive_is_replaced_and_nothing_else(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, keys: Any
) -> None:
    output = tmp_path / "a.cxr.zip"
    assert cxr_edge("pack", golden_bundle, "-o", output).code == 0
    assert cxr_edge("pack", golden_bundle, "-o", output, "--sign", keys.private).code == 0
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("films.csv", "mine")
    mine = output.read_bytes()
    outcome = cxr_edge("pack", golden_bundle, "-o", output)
    assert outcome.code == 2
    assert f"{output}: already exists and is not an archive of cxr-edge pack; choose" in outcome.err
    assert output.read_bytes() == mine


def test_name_must_say_what_it_is(cxr_edge: Any, tmp_path: Path) -> None:
    outcome = cxr_edge("pack", "-o", tmp_path / "a.zip")
    assert outcome.code == 2
    assert "a.zip: the name of an archive must end with .cxr.zip" in outcome.err
    assert not list(tmp_path.glob("*.zip"))


def test_damaged_bundle_or_key_leaves_no_archive(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, keys: Any
) -> None:
    copy = Path(shutil.copytree(golden_bundle, tmp_path / "copy"))
    (copy / "model.tflite").write_bytes(b"")
    outcome = cxr_edge("pack", copy, "-o", tmp_path / "a.cxr.zip")
    assert outcome.code == 1
    assert "model.tflite: differs from its recorded SHA-256" in outcome.err
    outcome = cxr_edge("pack", golden_bundle, "-o", tmp_path / "a.cxr.zip", "--sign", keys.public)
    assert outcome.code == 2
    assert "contains a public key; signing needs the private one" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_full_disk_is_named_and_leaves_no_archive(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing, "write_archive", fill)
    outcome = cxr_edge("pack", golden_bundle, "-o", tmp_path / "a.cxr.zip")
    assert outcome.code == 1
    assert outcome.err == (
        f"cxr-edge: {tmp_path / 'a.cxr.zip'}: No space left on device; make room there, or write "
        "to another disk\n"
    )
    assert not list(tmp_path.iterdir())


def test_private_key_that_others_can_read_is_warned_of(
    cxr_edge: Any, tmp_path: Path, golden_bundle: Path, keys: Any
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(keys.private.read_bytes())
    key.chmod(0o640)
    outcome = cxr_edge("pack", golden_bundle, "-o", tmp_path / "a.cxr.zip", "--sign", key)
    assert outcome.code == 0
    assert (
        outcome.err == f"warning: {key}: others can read this private key; run: chmod 600 {key}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["pack", "tiny", "-o", "a.cxr.zip"], 0),
        (["verify", "a.cxr.zip"], 0),
        (["install", "a.cxr.zip", "--unsigned", "--into", "bundles"], 0),
        (["pack", "tiny", "-o", "b.cxr.zip", "--sign", "KEY"], 1),
        (["verify", "a.cxr.zip", "--key", "PUB"], 1),
        (["install", "a.cxr.zip", "--key", "PUB", "--into", "bundles"], 1),
    ],
)
def test_only_signatures_need_cryptography(
    tmp_path: Path, keys: Any, archives: Any, arguments: list[str], code: int
) -> None:
    shutil.copy(archives.first, tmp_path / "a.cxr.zip")
    files = {"KEY": str(keys.private), "PUB": str(keys.public)}
    program = (
        "import sys\nsys.modules['cryptography'] = None\nfrom cxr_edge.cli import main\nmain()"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program, *(files.get(word, word) for word in arguments)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert outcome.returncode == code, outcome.stderr
    if code:
        assert outcome.stderr.startswith(f"cxr-edge: {arguments[0]} needs cryptography")
        assert "; run: pip install '.[signed]' in the checkout" in outcome.stderr
        assert outcome.stderr.count("\n") == 1
