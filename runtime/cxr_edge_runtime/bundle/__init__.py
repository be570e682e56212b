"""A bundle: a folder with a model and everything that is needed to verify and run it."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cxr_edge_runtime.arguments import as_path
from cxr_edge_runtime.bundle.manifest import (
    CARD_FILE,
    CONTRACT_INPUTS,
    GATE_FILE,
    REFERENCE_FILE,
    SELFTEST_FILE,
    FileEntry,
    Manifest,
)
from cxr_edge_runtime.bundle.manifest_reading import parse_manifest
from cxr_edge_runtime.errors import BundleCorrupted, BundleInvalid, BundleNotFound
from cxr_edge_runtime.files import write_bytes

MANIFEST = "bundle.json"
CHECKSUM = "bundle.json.sha256"
# Ed25519, over the manifest, which holds the SHA-256 of all else; there where a bundle is signed.
SIGNATURE, SIGNATURE_BYTES = "bundle.json.sig", 64
# All names that a file of a bundle may have.
BUNDLE_FILES = (
    MANIFEST, CHECKSUM, SIGNATURE, CARD_FILE, GATE_FILE, SELFTEST_FILE, REFERENCE_FILE,
    *(f"{network}.{format}" for network in ("model", "locator") for format in CONTRACT_INPUTS),
)  # fmt: skip

MAX_MANIFEST_BYTES = 1_000_000
# Of a bundle in one file; see cxr_edge_runtime.bundle.archive.
ARCHIVE_SUFFIX = ".cxr.zip"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle of which every file has been verified.

    Attributes:
        path: the folder that it was read from.
        manifest: the content of its ``bundle.json``.
        digest: SHA-256 of ``bundle.json``, hexadecimal, which identifies the bundle.
        model: the bytes of the model that were verified.
    """

    path: Path
    manifest: Manifest
    digest: str
    model: bytes = field(repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Bundle":
        """Read a bundle and compare every file with its recorded SHA-256.

        Raises:
            InvalidRequest: ``path`` is no path.
            BundleNotFound: there is no such folder, or no ``bundle.json`` in it.
            BundleTooNew: it was written by a later cxr-edge.
            BundleInvalid: ``bundle.json`` breaks the format.
            BundleCorrupted: a file is missing or differs by even one bit.
        """
        path = as_path(path, "path")
        if not (path / MANIFEST).is_file():
            raise BundleNotFound(f"{path}: no bundle here ({MANIFEST} is missing)")
        content = _read(path / MANIFEST, MAX_MANIFEST_BYTES)
        if len(content) > MAX_MANIFEST_BYTES:
            raise BundleInvalid(f"{path / MANIFEST}: larger than {MAX_MANIFEST_BYTES} bytes")
        digest = hashlib.sha256(content).hexdigest()
        manifest = parse_manifest(content, name=str(path / MANIFEST))
        if _read(path / CHECKSUM, len(checksum_line(digest))) != checksum_line(digest):
            raise BundleCorrupted(
                f"{path / MANIFEST}: differs from its checksum in {CHECKSUM}; "
                "copy the bundle again from where it was made"
            )
        model = b""
        for name, entry in manifest.files.items():
            content = _verified(path / name, entry)
            if name == manifest.model.file:
                model = content
        return cls(path, manifest, digest, model)

    def read(self, name: str) -> bytes:
        """Read a file of the bundle and verify it once more.

        Args:
            name: a key of the manifest's ``files``.

        Raises:
            BundleInvalid: the bundle has no such file.
            BundleCorrupted: the file changed since the bundle was loaded.
        """
        if name not in self.manifest.files:
            raise BundleInvalid(f"{self.path}: has no {name}")
        return _verified(self.path / name, self.manifest.files[name])

    def manifest_bytes(self) -> bytes:
        """Return the bytes of ``bundle.json``, which are what a signature signs.

        Raises:
            BundleCorrupted: they changed since the bundle was loaded.
        """
        content = _read(self.path / MANIFEST, MAX_MANIFEST_BYTES)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise BundleCorrupted(f"{self.path / MANIFEST}: changed while it was in use")
        return content

    def signature(self) -> bytes | None:
        """Return the bytes of ``bundle.json.sig`` unverified; None where the bundle is not signed.

        Raises:
            BundleInvalid: it is not a plain file, or does not have the length of a signature.
        """
        path = self.path / SIGNATURE
        if not os.path.lexists(path):
            return None
        content = _read(path, SIGNATURE_BYTES)
        if len(content) != SIGNATURE_BYTES:
            raise BundleInvalid(f"{path}: not a signature, which has {SIGNATURE_BYTES} bytes")
        return content


def write_bundle(path: Path, manifest: Manifest, contents: dict[str, bytes]) -> None:
    """Write the files of a bundle, the manifest last.

    Args:
        path: the folder to write to; it is created if absent.
        manifest: its ``files`` must describe ``contents``; see :func:`describe_files`.
        contents: the bytes of every file, by name.

    Raises:
        BundleInvalid: manifest and contents do not agree, or the manifest breaks the format.
    """
    if manifest.files != describe_files(contents):
        raise BundleInvalid(f"{path}: the manifest does not describe the files to be written")
    text = manifest.to_json().encode()
    parse_manifest(text, name=str(path / MANIFEST))
    for name, content in contents.items():
        write_bytes(path / name, content)
    write_bytes(path / CHECKSUM, checksum_line(hashlib.sha256(text).hexdigest()))
    write_bytes(path / MANIFEST, text)


def describe_files(contents: dict[str, bytes]) -> dict[str, FileEntry]:
    """Return the manifest's ``files`` for the given contents, by name."""
    return {
        name: FileEntry(hashlib.sha256(content).hexdigest(), len(content))
        for name, content in sorted(contents.items())
    }


def checksum_line(digest: str) -> bytes:
    """Return the content of ``bundle.json.sha256`` for the digest of a bundle."""
    # The format of sha256sum, so that `sha256sum -c bundle.json.sha256` works without cxr-edge.
    return f"{digest}  {MANIFEST}\n".encode()


def _read(path: Path, limit: int) -> bytes:
    """At most ``limit + 1`` bytes of a file, so that the caller sees when it has more."""
    try:
        # A link could lead anywhere, and opening a pipe would wait for a writer.
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise BundleInvalid(f"{path}: must be a plain file, not a link or device")
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        raise BundleCorrupted(f"{path}: the file is missing; copy the bundle again") from None
    except OSError as error:
        raise BundleInvalid(f"{path}: cannot be read ({error})") from error


def _verified(path: Path, entry: FileEntry) -> bytes:
    content = _read(path, entry.bytes)
    if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
        raise BundleCorrupted(
            f"{path}: differs from its recorded SHA-256; "
            "copy the bundle again from where it was made"
        )
    return content
