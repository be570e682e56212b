"""``NAME.cxr.zip``: a bundle as one file; equal bundles give equal bytes.

``bundle.json`` comes first, then its signature if the bundle is signed, then all other files by
name. So an archive can be read from the first byte to the last, and nothing in it is used before
the signature has been checked.
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

# Takes the bytes of bundle.json and of its signature, None without one; raises to refuse them.
SignatureCheck = Callable[[bytes, bytes | None], None]


def write_archive(file: BinaryIO, bundle: Bundle, *, signature: bytes | None = None) -> None:
    """Write a bundle as an archive.

    Args:
        file: it is written to from its current position.
        bundle: the bundle to pack.
        signature: of its ``bundle.json``; None for an archive that is not signed.

    Raises:
        BundleInvalid: a file of the bundle has a name that is reserved in an archive.
        BundleCorrupted: a file changed since the bundle was loaded.
    """
    write_stored(file, _contents(bundle, signature))


class Archive:
    """An open archive, of which only the manifest and its signature have been read.

    Attributes:
        manifest: the manifest of the bundle.
        digest: SHA-256 of ``bundle.json``, hexadecimal.
        signature: of ``bundle.json``; None where the bundle is not signed.
    """

    def __init__(self, file: BinaryIO, path: Path, check: SignatureCheck | None) -> None:
        """Read the manifest; :func:`open_archive` calls this."""
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
        """Unpack the archive in chunks, comparing every file with its SHA-256.

        It can be called once only.

        Args:
            folder: an empty folder; after an error its content must not be used.

        Raises:
            BundleInvalid: what follows the manifest is not as :func:`write_archive` writes it, or
                bytes follow the end.
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
    """Open an archive and read its manifest, so that it can be unpacked.

    Args:
        path: the archive.
        check: called before the manifest is parsed; with None any bundle is accepted, signed or
            not.

    Raises:
        BundleNotFound: there is no such file.
        BundleInvalid: it is not an archive as :func:`write_archive` writes it, or ``bundle.json``
            breaks the format.
        BundleTooNew: it was written by a later cxr-edge.
        BundleCorrupted: the archive ends too early, or is damaged.
    """
    if not path.exists():
        raise BundleNotFound(f"{path}: no such file")
    if not path.is_file():
        raise BundleInvalid(f"{path}: must be a plain file, not a folder, device or pipe")
    with path.open("rb") as file:
        yield Archive(file, path, check)


def is_archive(path: Path) -> bool:
    """Return whether a file begins as an archive does, without reading the rest."""
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
        raise BundleInvalid(f"{name}: a file in a bundle cannot be named {min(taken)}")
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
