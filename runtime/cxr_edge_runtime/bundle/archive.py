"""``NAME.cxr.zip``: a bundle as one file, the same bundle always the same bytes.

``bundle.json`` comes first, then its signature where it is signed, then all others by name. So what
comes from elsewhere is read from the first byte to the last, and nothing is believed before the
signature is checked.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from cxr_edge_runtime.bundle.manifest import FileEntry, Manifest
from cxr_edge_runtime.bundle.manifest_reading import parse_manifest
from cxr_edge_runtime.bundle.stored_zip import StoredReader, write_stored
from cxr_edge_runtime.errors import BundleCorrupted, BundleInvalid, BundleNotFound

ARCHIVE_SUFFIX = ".cxr.zip"

# Takes the bytes of bundle.json and of its signature, None without one; raises to refuse them.
SignatureCheck = Callable[[bytes, bytes | None], None]


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
    write_stored(file, _contents(bundle, signature))


class Archive:
    """An open archive of which the manifest was read and nothing else.

    Attributes:
        manifest: of the bundle.
        digest: SHA-256 of ``bundle.json``, hexadecimal.
        signature: of ``bundle.json``; None where it is not signed.
    """

    def __init__(self, file: BinaryIO, path: Path, check: SignatureCheck | None) -> None:
        """Called by :func:`open_archive`."""
        self._reader = StoredReader(file, str(path))
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
            return StoredReader(file, str(path)).next_is(MANIFEST)
    except (BundleCorrupted, BundleInvalid):
        return False


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
