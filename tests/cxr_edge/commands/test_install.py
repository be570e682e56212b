import shutil
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.bundle import Bundle
from installable import make_archive, make_bundle


def test_signed_bundle_is_installed_and_used(
    cxr_edge: Any, archives: Any, keys: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "cxr-edge" / "bundles"
    digest = "never"
    for archive, version, path in ((archives.first, 1, "0001"), (archives.second, 2, "0002")):
        outcome = cxr_edge("install", archive, "--key", keys.public)
        assert (outcome.code, outcome.err) == (0, "")
        digest = Bundle.load(folder / path).digest
        assert outcome.out == (
            f"installed  tiny-int8 {version}, digest {digest}\nin         {folder / path}\n"
        )
        assert cxr_edge("info").out.splitlines()[:2] == [
            f"tiny-int8 {version}, digest {digest}",
            f"from       {folder / path}",
        ]
    outcome = cxr_edge("install", archives.second, "--key", keys.public)
    assert outcome.code == 0
    assert outcome.out.startswith(f"unchanged  tiny-int8 2, digest {digest}\n")
    assert cxr_edge("verify", "--key", keys.public).code == 0
    assert cxr_edge("selftest").code == 0


def test_rollback_uses_the_bundle_before(cxr_edge: Any, archives: Any, tmp_path: Path) -> None:
    into = tmp_path / "here"
    assert cxr_edge("install", archives.first, "--unsigned", "--into", into).code == 0
    assert cxr_edge("install", archives.unsigned, "--unsigned", "--into", into).code == 0
    outcome = cxr_edge("install", "--rollback", "--into", into)
    assert outcome.code == 0
    assert outcome.out.startswith("back to    tiny-int8 1, digest ")
    assert outcome.out.endswith(f"in         {into / '0001'}\n")
    outcome = cxr_edge("install", "--rollback", "--into", into)
    assert outcome.code == 1
    assert outcome.err == f"cxr-edge: {into}: no bundle to go back to; nothing was changed\n"


def test_what_cannot_be_removed_is_one_warning(
    cxr_edge: Any, archives: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "here"
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
    for archive in (archives.first, archives.second):
        outcome = cxr_edge("install", archive, "--unsigned", "--into", into)
        assert (outcome.code, outcome.err) == (0, "")
    outcome = cxr_edge("install", archives.first, "--unsigned", "--into", into)
    assert outcome.code == 0
    assert outcome.out.startswith("installed  tiny-int8 1, digest ")
    assert outcome.err == (
        f"warning: {into / '.going-0001'}: cannot be removed; it only takes up space\n"
    )


def test_key_may_come_from_the_environment(
    cxr_edge: Any, archives: Any, keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXR_EDGE_KEY", str(keys.other))
    outcome = cxr_edge("install", archives.first)
    assert outcome.code == 1
    assert "is not signed with this key, or was changed after signing; do not use it" in outcome.err
    assert cxr_edge("install", archives.first, "--key", keys.public).code == 0
    assert cxr_edge("install", archives.second, "--key", keys.public).code == 0
    assert cxr_edge("install", "--rollback").code == 0


def test_bundle_that_is_not_signed_by_the_key_changes_nothing(
    cxr_edge: Any, archives: Any, keys: Any
) -> None:
    assert cxr_edge("install", archives.first, "--key", keys.public).code == 0
    for archive, key, words in (
        (archives.unsigned, keys.public, "is not signed; sign it when packing it"),
        (archives.second, keys.other, "is not signed with this key"),
    ):
        outcome = cxr_edge("install", archive, "--key", key)
        assert (outcome.code, outcome.out) == (1, "")
        assert f"{archive}: {words}" in outcome.err
    assert cxr_edge("info").out.startswith("tiny-int8 1, ")


def test_device_that_computes_something_else_keeps_its_bundle(
    cxr_edge: Any, archives: Any, golden_bundle: Path, tmp_path: Path
) -> None:
    assert cxr_edge("install", archives.first, "--unsigned").code == 0
    other = make_bundle(golden_bundle, tmp_path / "b", version="3", shift=0.2)
    make_archive(other, tmp_path / "b.cxr.zip")
    outcome = cxr_edge("install", tmp_path / "b.cxr.zip", "--unsigned")
    assert (outcome.code, outcome.out) == (4, "")
    assert "b.cxr.zip: fails on this device, so nothing was changed: 2 of 2" in outcome.err
    assert outcome.err.count("\n") == 1
    assert cxr_edge("info").out.startswith("tiny-int8 1, ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give the FILE to install, or --rollback without one"),
        (["a.cxr.zip", "--rollback"], "give the FILE to install, or --rollback without one"),
        (["a.cxr.zip"], "give the signer's public key with --key or CXR_EDGE_KEY, or --unsigned"),
        (["a.cxr.zip", "--unsigned", "--key", "k"], "that you trust without one; not both"),
        (["a.cxr.zip", "--key", "none.pem"], "none.pem: the key cannot be read (No such file"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(
    cxr_edge: Any, arguments: list[str], words: str
) -> None:
    outcome = cxr_edge("install", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_missing_file_is_one_line(cxr_edge: Any, tmp_path: Path) -> None:
    outcome = cxr_edge("install", tmp_path / "none.cxr.zip", "--unsigned")
    assert outcome.code == 1
    assert outcome.err == f"cxr-edge: {tmp_path / 'none.cxr.zip'}: no such file\n"
    assert not (tmp_path / "data").exists()
