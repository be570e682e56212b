import hashlib
import io
import json
import os
import shutil
import stat
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_edge_runtime.bundle import MANIFEST, SIGNATURE, Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.archive import is_archive, open_archive, write_archive
from cxr_edge_runtime.errors import (
    BundleCorrupted,
    BundleError,
    BundleInvalid,
    BundleNotFound,
    BundleTooNew,
    SignatureInvalid,
)

GOLDEN = Path(__file__).parent / "golden" / "bundle-v2"
SIGNED = b"s" * 64


def packed(folder: Path = GOLDEN, signature: bytes | None = None) -> bytes:
    file = io.BytesIO()
    write_archive(file, Bundle.load(folder), signature=signature)
    return file.getvalue()


def unpack(path: Path, folder: Path) -> None:
    with open_archive(path) as archive:
        archive.unpack(folder)


WHOLE = packed(signature=SIGNED)


def unpacked(content: bytes) -> dict[str, bytes]:
    """The files of an archive."""
    with tempfile.TemporaryDirectory() as folder:
        archive, target = Path(folder, "a.cxr.zip"), Path(folder, "target")
        archive.write_bytes(content)
        target.mkdir()
        unpack(archive, target)
        Bundle.load(target)
        return {path.name: path.read_bytes() for path in target.iterdir()}


def changed(edit: Callable[[list[zipfile.ZipInfo], dict[str, bytes]], None]) -> bytes:
    """A well-formed ZIP file with the same files after an edit."""
    with zipfile.ZipFile(io.BytesIO(packed(signature=SIGNED))) as archive:
        infos = archive.infolist()
        contents = {info.filename: archive.read(info) for info in infos}
    edit(infos, contents)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for info in infos:
            archive.writestr(info, contents[info.filename])
    return file.getvalue()


def test_archive_holds_the_bundle_and_nothing_else() -> None:
    files = {path.name: path.read_bytes() for path in GOLDEN.iterdir()}
    assert unpacked(packed()) == files
    assert unpacked(packed(signature=SIGNED)) == files | {SIGNATURE: SIGNED}


def test_bundle_of_an_earlier_version_is_packed_as_it_is() -> None:
    folder = GOLDEN.parent / "bundle-v1"
    assert unpacked(packed(folder)) == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_any_tool_opens_it_and_finds_the_manifest_and_its_signature_first() -> None:
    with zipfile.ZipFile(io.BytesIO(packed(signature=SIGNED))) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
    names = [info.filename for info in infos]
    assert names[:2] == ["bundle.json", "bundle.json.sig"]
    assert names[2:] == sorted(names[2:]) == ["MODEL_CARD.md", "bundle.json.sha256", "model.tflite"]
    for info in infos:
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.compress_type == zipfile.ZIP_STORED
        assert info.external_attr >> 16 == stat.S_IFREG | 0o644
        assert (info.create_system, info.flag_bits, info.extra, info.comment) == (3, 0, b"", b"")


def test_same_bundle_gives_the_same_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        copy = tmp_path / "elsewhere"
        copy.mkdir()
        for path in sorted(GOLDEN.iterdir(), reverse=True):
            (copy / path.name).write_bytes(path.read_bytes())
            os.utime(copy / path.name, (1_700_000_000, 1_700_000_000))
    finally:
        os.umask(before)
    (copy / "notes.txt").write_text("in no manifest")
    assert packed(copy) == packed()
    # Of this very bundle: a change of the form makes other bytes, which devices would not read.
    assert hashlib.sha256(packed()).hexdigest() == (
        "f399f83a2220d3dbf2f436fbf3312abd6e3345ebc7e59973b131bd521aebef73"
    )


def test_signed_bundle_is_packed_from_where_it_was_unpacked(tmp_path: Path) -> None:
    archive = tmp_path / "a.cxr.zip"
    archive.write_bytes(packed(signature=SIGNED))
    (tmp_path / "b").mkdir()
    with open_archive(archive) as found:
        found.unpack(tmp_path / "b")
    bundle = Bundle.load(tmp_path / "b")
    assert (found.manifest, found.digest) == (bundle.manifest, bundle.digest)
    assert found.signature == bundle.signature() == SIGNED
    assert packed(tmp_path / "b", bundle.signature()) == archive.read_bytes()


def test_signature_is_asked_for_before_anything_is_believed(tmp_path: Path) -> None:
    asked: list[tuple[bytes, bytes | None]] = []

    def refuse(manifest: bytes, signature: bytes | None) -> None:
        asked.append((manifest, signature))
        raise SignatureInvalid("no")

    content = packed(signature=SIGNED)
    manifest = (GOLDEN / MANIFEST).read_bytes()
    # No JSON any more, and all that follows is damaged.
    broken = content.replace(manifest[:20], b"[" * 20)
    broken = broken.replace(
        struct.pack("<I", zlib.crc32(manifest)),
        struct.pack("<I", zlib.crc32(b"[" * 20 + manifest[20:])),
    )
    broken = broken[: broken.index(SIGNED) + 64 + 60] + b"x" * 5000
    for archive, first in ((content, manifest), (broken, b"[" * 20 + manifest[20:])):
        (tmp_path / "a.cxr.zip").write_bytes(archive)
        with (
            pytest.raises(SignatureInvalid),
            open_archive(tmp_path / "a.cxr.zip", check=refuse),
        ):
            raise AssertionError("it was opened")
        assert asked.pop() == (first, SIGNED)


@settings(max_examples=300)
@given(st.data())
def test_any_flipped_byte_is_refused(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BundleError) as refused:
        unpacked(bytes(content))
    assert str(refused.value).count("\n") == 0


def test_every_byte_of_the_headers_matters() -> None:
    names = [name.encode() for name in ("bundle.json", SIGNATURE, "MODEL_CARD.md", "model.tflite")]
    starts = [WHOLE.index(name) - 30 for name in names] + [WHOLE.index(b"PK\1\2")]
    for start in starts:
        for position in range(start, min(start + 120, len(WHOLE))):
            content = bytearray(WHOLE)
            content[position] ^= 0xFF
            with pytest.raises(BundleError):
                unpacked(bytes(content))


@pytest.mark.parametrize("end", [0, 3, 29, 41, 500, 1800, -7000, -300, -1])
def test_archive_that_ends_too_early_is_refused(end: int) -> None:
    with pytest.raises(BundleError, match="copy the archive again"):
        unpacked(WHOLE[:end])


@pytest.mark.parametrize("appended", [b"\0", b"\n", b"PK\5\6" + b"\0" * 18, WHOLE])
@pytest.mark.parametrize("signature", [None, SIGNED])
def test_bytes_after_the_end_are_refused(appended: bytes, signature: bytes | None) -> None:
    content = packed(signature=signature)
    assert unpacked(content)
    with pytest.raises(BundleInvalid, match=r"the end after model\.tflite is damaged"):
        unpacked(content + appended)


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda x: WHOLE[:60] + x)))
def test_random_bytes_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(BundleError) as refused:
        unpacked(content)
    assert str(refused.value).count("\n") == 0


@settings(max_examples=100)
@given(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)), st.binary(max_size=64))
def test_spliced_archives_are_refused_or_the_same(start: int, end: int, content: bytes) -> None:
    spliced = WHOLE[:start] + content + WHOLE[end:]
    if spliced != WHOLE:
        with pytest.raises(BundleError):
            unpacked(spliced)


def _twice(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    infos.append(infos[-1])


def _another(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    infos.append(zipfile.ZipInfo("run-me.sh"))
    contents["run-me.sh"] = b"#!/bin/sh\n"


def _upwards(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    contents["../../etc/passwd"] = contents[infos[-1].filename]
    infos[-1].filename = "../../etc/passwd"


def _link(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    infos[-1].external_attr = (stat.S_IFLNK | 0o777) << 16


def _compressed(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    infos[-1].compress_type = zipfile.ZIP_DEFLATED


def _dated(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    infos[-1].date_time = (2026, 1, 2, 3, 4, 6)


def _missing(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    del infos[-1]


def _other_order(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    infos.insert(2, infos.pop())


def _larger(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    contents["model.tflite"] += b"x"


def _other_model(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    contents["model.tflite"] = bytes(len(contents["model.tflite"]))


def _other_checksum(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    contents["bundle.json.sha256"] = b"0" * 64 + contents["bundle.json.sha256"][64:]


def _short_signature(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
    contents[SIGNATURE] = SIGNED[:-1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_twice, "the end after model.tflite is damaged"),
        (_another, "the end after model.tflite is damaged"),
        (_upwards, r"expected model.tflite, found '../../etc/passwd'"),
        (_link, "the end after model.tflite is damaged"),
        (_compressed, r"not as cxr-edge pack writes it at byte \d+;"),
        (_dated, r"not as cxr-edge pack writes it at byte \d+;"),
        (_missing, "expected model.tflite, found its end"),
        (_other_order, "expected MODEL_CARD.md, found 'model.tflite'"),
        (_larger, r"model.tflite has \d+ bytes, expected \d+;"),
        (_other_model, "model.tflite differs from its recorded SHA-256; copy the archive again"),
        (_other_checksum, "bundle.json.sha256 differs from its recorded SHA-256"),
        (_short_signature, "bundle.json.sig has 63 bytes, expected 64"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_any_other_zip_file_is_refused(
    edit: Callable[[list[zipfile.ZipInfo], dict[str, bytes]], None], message: str
) -> None:
    assert changed(lambda infos, contents: None) == WHOLE
    with pytest.raises(BundleError, match=message):
        unpacked(changed(edit))


def test_encrypted_file_is_refused() -> None:
    content = bytearray(WHOLE)
    content[WHOLE.index(b"model.tflite", WHOLE.index(b"PK\3\4", 2000)) - 30 + 6] |= 1
    with pytest.raises(BundleInvalid, match="not as cxr-edge pack writes it"):
        unpacked(bytes(content))


def test_manifest_that_claims_gigabytes_is_not_read() -> None:
    header = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0xFFFFFFFE, 0xFFFFFFFE, 11, 0)
    with pytest.raises(BundleInvalid, match="has 4294967294 bytes, expected at most 1000000"):
        unpacked(header + b"bundle.json" + bytes(100))


@pytest.mark.parametrize("name", ["bundle.json", "bundle.json.sha256", "bundle.json.sig"])
def test_file_that_would_take_the_name_of_another_is_refused(name: str, tmp_path: Path) -> None:
    values = json.loads((GOLDEN / MANIFEST).read_text())
    values["files"][name] = {"sha256": "0" * 64, "bytes": 64}
    manifest = json.dumps(values).encode()

    def edit(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
        contents[MANIFEST] = manifest

    with pytest.raises(BundleInvalid, match=f"a file in a bundle cannot be named {name}"):
        unpacked(changed(edit))


def test_manifest_of_a_later_version_asks_for_an_update() -> None:
    def edit(infos: list[zipfile.ZipInfo], contents: dict[str, bytes]) -> None:
        contents[MANIFEST] = b'{"schema_version": 99}'

    with pytest.raises(BundleTooNew, match=r"a\.cxr\.zip: bundle\.json: .*update cxr-edge"):
        unpacked(changed(edit))


def test_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match="no such file"):
        unpack(tmp_path / "none", tmp_path)
    with pytest.raises(BundleInvalid, match="must be a plain file"):
        unpack(tmp_path, tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleInvalid, match="must be a plain file"):
        unpack(tmp_path / "pipe", tmp_path)
    (tmp_path / "text").write_bytes(b"a text of some length " * 9)
    with pytest.raises(BundleInvalid, match="text: not an archive of a bundle; copy the archive"):
        unpack(tmp_path / "text", tmp_path)


def test_archive_is_known_by_how_it_begins(tmp_path: Path) -> None:
    for content, answer in ((WHOLE, True), (WHOLE[:41], True), (b"", False), (b"x" * 99, False)):
        (tmp_path / "file").write_bytes(content)
        assert is_archive(tmp_path / "file") is answer


def test_large_model_takes_the_memory_of_a_chunk(tmp_path: Path) -> None:
    golden = Bundle.load(GOLDEN)
    contents = {name: golden.read(name) for name in golden.manifest.files}
    contents["model.tflite"] = bytes(40_000_000)
    write_bundle(
        tmp_path / "large", replace(golden.manifest, files=describe_files(contents)), contents
    )
    archive = tmp_path / "a.cxr.zip"
    archive.write_bytes(packed(tmp_path / "large"))
    del contents
    (tmp_path / "b").mkdir()
    tracemalloc.start()
    unpack(archive, tmp_path / "b")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
    shutil.rmtree(tmp_path / "b")


def test_file_that_changed_since_the_bundle_was_loaded_is_not_packed(tmp_path: Path) -> None:
    bundle = Bundle.load(Path(shutil.copytree(GOLDEN, tmp_path / "b")))
    (tmp_path / "b" / MANIFEST).write_bytes(b"{}")
    with pytest.raises(BundleCorrupted, match=r"bundle\.json: changed while it was in use"):
        write_archive(io.BytesIO(), bundle)
