"""``NAME.cxr.zip``: a bundle as one file, the same bundle always the same bytes.

Any tool can open the archive, but of the many ways to write a ZIP file it is always one: files
stored as they are, ``bundle.json`` first, then its signature where it is signed, then all others by
name; no dates, no owners. What comes from elsewhere cannot be trusted, so the reader believes no
table: it goes from the first byte to the last and refuses what the writer would not have written.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cxr_edge_runtime.bundle import (
    CHECKSUM,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    SIGNATURE,
    SIGNATURE_BYTES,
    Bundle,
    checksum_line,
)
from cxr_edge_runtime.errors import BundleCorrupted, BundleInvalid, BundleNotFound
from cxr_edge_runtime.manifest import FileEntry, Manifest
from cxr_edge_runtime.manifest_reading import parse_manifest

ARCHIVE_SUFFIX = ".cxr.zip"

# Takes the bytes of bundle.json and of its signature, None without one; raises to refuse them.
SignatureCheck = Callable[[bytes, bytes | None], None]

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
# Version 2.0 of the format, no flags, stored, at midnight of the first day that ZIP knows.
_HOW = (20, 0, 0, 0, (1 << 5) | 1)
_UNIX = 3 << 8
_PLAIN_FILE = 0o100644 << 16
# What a file system takes as a name.
_MAX_NAME = 255
_CHUNK = 1 << 20

_PACK_AGAIN = "copy the archive again, or make it again with cxr-edge pack"


def write_archive(file: BinaryIO, bundle: Bundle, *, signature: bytes | None = None) -> None:
    """Write a bundle as an archive.

    Args:
        file: written from where it is.
        bundle: what to pack.
        signature: of its ``bundle.json``; None for an archive that is not signed.

    Raises:
        BundleInvalid: a file of the bundle has a name that the archive needs.
        BundleCorrupted: a file changed since the bundle was loaded.
    """
    entries: list[_Entry] = []
    offset = 0
    for name, content in _contents(bundle, signature):
        entry = _Entry(name, len(content), zlib.crc32(content), offset)
        file.write(entry.local_header())
        file.write(content)
        entries.append(entry)
        offset = entry.end
    file.write(_directory(entries))


class Archive:
    """An open archive of which the manifest was read and nothing else.

    Attributes:
        manifest: of the bundle.
        digest: SHA-256 of ``bundle.json``, hexadecimal.
        signature: of ``bundle.json``; None where it is not signed.
    """

    def __init__(self, file: BinaryIO, path: Path, check: SignatureCheck | None) -> None:
        """Called by :func:`open_archive`."""
        self._reader = _Reader(file, str(path))
        self._path = path
        self._content = b"".join(self._reader.chunks(MANIFEST, range(MAX_MANIFEST_BYTES + 1)))
        self.signature = None
        if self._reader.next_is(SIGNATURE):
            self.signature = b"".join(self._reader.chunks(SIGNATURE, _exactly(SIGNATURE_BYTES)))
        if check is not None:
            check(self._content, self.signature)
        self.manifest = parse_manifest(self._content, name=f"{path}: {MANIFEST}")
        self.digest = hashlib.sha256(self._content).hexdigest()
        self._others = _others(self.manifest, str(path))

    def unpack(self, folder: Path) -> None:
        """Unpack it, every file compared with its SHA-256 on the way; once only.

        Memory is that of a chunk, whatever the archive holds.

        Args:
            folder: an empty folder; what it holds after an error is not to be used.

        Raises:
            BundleInvalid: what follows the manifest is not as :func:`write_archive` makes it.
            BundleCorrupted: the archive ends too early, or a file differs from its SHA-256.
        """
        checksum = checksum_line(self.digest)
        files = self.manifest.files | {
            CHECKSUM: FileEntry(hashlib.sha256(checksum).hexdigest(), len(checksum))
        }
        for name in self._others:
            chunks = self._reader.chunks(name, _exactly(files[name].bytes))
            if _save(chunks, folder / name) != files[name].sha256:
                raise BundleCorrupted(
                    f"{self._path}: {name} differs from its recorded SHA-256; copy the archive "
                    "again from where it was made"
                )
        self._reader.end()
        (folder / MANIFEST).write_bytes(self._content)
        if self.signature is not None:
            (folder / SIGNATURE).write_bytes(self.signature)


@contextmanager
def open_archive(path: Path, *, check: SignatureCheck | None = None) -> Iterator[Archive]:
    """Read the manifest of an archive, which can then be unpacked.

    Args:
        path: the archive.
        check: asked before the manifest is parsed; None takes any bundle, signed or not.

    Raises:
        BundleNotFound: no such file.
        BundleInvalid: not an archive as :func:`write_archive` makes it, or ``bundle.json`` breaks
            the format.
        BundleTooNew: written by a later cxr-edge.
        BundleCorrupted: the archive ends too early, or is damaged.
    """
    if not path.exists():
        raise BundleNotFound(f"{path}: no such file")
    if not path.is_file():
        raise BundleInvalid(f"{path}: must be a plain file, not a folder, device or pipe")
    with path.open("rb") as file:
        yield Archive(file, path, check)


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive does; its content is not looked at."""
    try:
        with path.open("rb") as file:
            return _Reader(file, str(path)).next_is(MANIFEST)
    except (BundleCorrupted, BundleInvalid):
        return False


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a ZIP file says of a file twice: before its bytes, and in the table at the end."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + _LOCAL.size + len(self.name) + self.size

    def local_header(self) -> bytes:
        return _LOCAL.pack(b"PK\3\4", *self._facts()) + self.name.encode("ascii")

    def central_header(self) -> bytes:
        more = (0, 0, 0, _PLAIN_FILE, self.offset)
        head = _CENTRAL.pack(b"PK\1\2", _UNIX | _HOW[0], *self._facts(), *more)
        return head + self.name.encode("ascii")

    def _facts(self) -> tuple[int, ...]:
        return (*_HOW, self.crc, self.size, self.size, len(self.name), 0)


def _directory(entries: list[_Entry]) -> bytes:
    """The table at the end."""
    table = b"".join(entry.central_header() for entry in entries)
    count = len(entries)
    return table + _END.pack(b"PK\5\6", 0, 0, count, count, len(table), entries[-1].end, 0)


class _Reader:
    """An archive from the first byte to the last; each header is read ahead of its file."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._entries: list[_Entry] = []
        self._offset = 0
        self._next = self._header()

    def next_is(self, name: str) -> bool:
        """Whether the next file is of this name."""
        return self._next is not None and self._next.name == name

    def chunks(self, name: str, sizes: range) -> Iterator[bytes]:
        """The bytes of the next file, which must be of this name and one of these sizes."""
        entry = self._next
        if entry is None or entry.name != name:
            found = "its end" if entry is None else repr(entry.name)
            raise BundleInvalid(f"{self._name}: {found} stands where {name} belongs; {_PACK_AGAIN}")
        if entry.size not in sizes:
            wanted = f"{sizes[-1]}" if len(sizes) == 1 else f"at most {sizes[-1]}"
            raise BundleInvalid(
                f"{self._name}: {name} has {entry.size} bytes where {wanted} are due; {_PACK_AGAIN}"
            )
        left, crc = entry.size, 0
        while left:
            chunk = self._read(min(left, _CHUNK))
            left -= len(chunk)
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if crc != entry.crc:
            raise BundleCorrupted(f"{self._name}: {name} is damaged; copy the archive again")
        self._entries.append(entry)
        self._next = self._header()

    def end(self) -> None:
        """Nothing may follow but the table that the writer would have written."""
        last = self._entries[-1]
        expected = _directory(self._entries)
        self._file.seek(last.end)
        if self._file.read(len(expected) + 1) != expected:
            raise BundleInvalid(
                f"{self._name}: does not end after {last.name} as it should; {_PACK_AGAIN}"
            )

    def _header(self) -> _Entry | None:
        """What the next file is; None where the table begins."""
        offset = self._offset
        header = self._read(_LOCAL.size)
        if header.startswith(b"PK\1\2") and self._entries:
            return None
        *_, crc, _, size, length, _ = _LOCAL.unpack(header)
        header += self._read(min(length, _MAX_NAME))
        name = header[_LOCAL.size :].decode("ascii", "replace")
        entry = _Entry(name, size, crc, offset)
        if not name.isascii() or header != entry.local_header():
            raise BundleInvalid(
                f"{self._name}: not as cxr-edge pack writes it from byte {offset} on; {_PACK_AGAIN}"
            )
        return entry

    def _read(self, count: int) -> bytes:
        content = self._file.read(count)
        self._offset += len(content)
        if len(content) < count:
            raise BundleCorrupted(
                f"{self._name}: ends too early, after {self._offset} bytes; copy the archive again"
            )
        return content


def _contents(bundle: Bundle, signature: bytes | None) -> Iterator[tuple[str, bytes]]:
    yield MANIFEST, bundle.manifest_bytes()
    if signature is not None:
        yield SIGNATURE, signature
    for name in _others(bundle.manifest, str(bundle.path)):
        yield name, checksum_line(bundle.digest) if name == CHECKSUM else bundle.read(name)


def _others(manifest: Manifest, name: str) -> list[str]:
    """The files that follow ``bundle.json`` and its signature, in their order."""
    if taken := {MANIFEST, CHECKSUM, SIGNATURE}.intersection(manifest.files):
        raise BundleInvalid(f"{name}: a file of a bundle cannot be called {min(taken)}")
    return sorted([CHECKSUM, *manifest.files])


def _exactly(size: int) -> range:
    return range(size, size + 1)


def _save(chunks: Iterator[bytes], path: Path) -> str:
    """Write a file that is not there yet; its SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
