"""Whether a bundle, or an archive of one, is intact, can be used, and who signed it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxr_edge.bundles.full_disk import full_disk_explained
from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.bundles.signing import signature_check
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.archive import Archive, open_archive
from cxr_edge_runtime.bundle.manifest import SELFTEST_FILE, Manifest
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.device.selftest import GoldenFilms
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.images.decoding_limits import MIN_SIDE


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that is intact.

    Attributes:
        manifest: what it says of itself.
        digest: SHA-256 of its ``bundle.json``, hexadecimal.
        engine: the engine that loaded and ran its model.
        is_signed: whether it has a signature; checked only where a key was given.
        is_archive: whether it was in an archive.
    """

    manifest: Manifest
    digest: str
    engine: str
    is_signed: bool
    is_archive: bool


def verify_bundle(bundle: str | None, *, key: Path | None = None) -> Verified:
    """Compare every file of a bundle with its SHA-256, and load and run its model.

    Args:
        bundle: an archive, or see :func:`cxr_edge.bundles.lookup.load_bundle`.
        key: PEM file of the public key that it must be signed with; None checks no signature.

    Raises:
        BundleError: it cannot be used; :class:`SignatureInvalid` where it is not signed with the
            key.
        EngineError: the model cannot be loaded or run.
        InvalidRequest: the file of the key holds no public key.
    """
    check = None if key is None else signature_check(key, bundle or "the default bundle")
    if bundle is not None and os.path.isfile(bundle):  # noqa: PTH113  # a name may be too long
        with open_archive(Path(bundle), check=check) as archive, _unpacked(archive) as folder:
            return _verified(Bundle.load(folder), archive.signature, is_archive=True)
    loaded = load_bundle(bundle)
    signature = loaded.signature()
    if check is not None:
        check(loaded.manifest_bytes(), signature)
    return _verified(loaded, signature, is_archive=False)


@contextmanager
def _unpacked(archive: Archive) -> Iterator[Path]:
    """A temporary folder with the bundle of an archive."""
    advice = "make room there, or set TMPDIR to another folder"
    try:
        temporary = Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # each was tried by writing a few bytes
        raise CxrEdgeError(f"{error.strerror}; {advice}") from None
    with tempfile.TemporaryDirectory(prefix="cxr-edge-") as folder:
        with full_disk_explained(temporary, advice):
            archive.unpack(Path(folder))
        yield Path(folder)


def _verified(loaded: Bundle, signature: bytes | None, *, is_archive: bool) -> Verified:
    classifier = Classifier(loaded)
    # Any film: model and gate must fit each other.
    classifier.classify(np.zeros((MIN_SIDE, MIN_SIDE), dtype=np.uint8))
    if SELFTEST_FILE in loaded.manifest.files:
        GoldenFilms.from_bytes(loaded.read(SELFTEST_FILE))
    return Verified(
        manifest=loaded.manifest,
        digest=loaded.digest,
        engine=classifier.engine.name,
        is_signed=signature is not None,
        is_archive=is_archive,
    )
