"""``cxr-edge verify``."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge_runtime.errors import CxrEdgeError

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.archive import Archive, SignatureCheck


def verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE|FILE]",
            help="A bundle's folder, the name of a shipped one, or an archive of cxr-edge pack; "
            "the installed or else the default one without it.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="PUB",
            help="PEM file of a public key; the bundle must be signed with its private one.",
        ),
    ] = None,
) -> None:
    """Check that a bundle is whole and, with --key, who signed it.

    Every file is compared with its SHA-256, and the model is loaded and run.

    Exit code 1 when it is not, or is not signed as it must be.
    """
    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.bundle.archive import open_archive

    check = None if key is None else _signature_check(key, bundle)
    archive = Path(bundle) if bundle is not None and Path(bundle).is_file() else None
    if archive is not None:
        with open_archive(archive, check=check) as opened, _unpacked(opened) as folder:
            _verify(Bundle.load(folder))
            signature = opened.signature
    else:
        loaded = load_bundle(bundle)
        signature = loaded.signature()
        if check is not None:
            check(loaded.manifest_bytes(), signature)
        _verify(loaded)
    if key is not None:
        typer.echo(f"signed: with the private key of {key}")
    elif signature is not None:
        typer.echo("signed, not checked: name the signer's key with --key")
    elif archive is not None:
        typer.echo("not signed")


def _signature_check(key: Path, bundle: str | None) -> "SignatureCheck":
    from cxr_edge.bundles.signing import check_signature, read_public_key

    return partial(check_signature, key=read_public_key(key), name=bundle or "the default bundle")


@contextmanager
def _unpacked(archive: "Archive") -> Iterator[Path]:
    """A temporary folder with the bundle of an archive."""
    import tempfile

    from cxr_edge.bundles.full_disk import full_disk_told

    advice = "make room there, or name another folder in the environment's TMPDIR"
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError as error:  # each was tried by writing a few bytes
        raise CxrEdgeError(f"{error.strerror}; {advice}") from None
    with tempfile.TemporaryDirectory(prefix="cxr-edge-") as folder:
        with full_disk_told(place, advice):
            archive.unpack(Path(folder))
        yield Path(folder)


def _verify(loaded: "Bundle") -> None:
    """Raise where a bundle cannot be used, and print what was verified."""
    import numpy as np

    from cxr_edge_runtime.bundle.manifest import SELFTEST_FILE
    from cxr_edge_runtime.classifier import Classifier
    from cxr_edge_runtime.device.selftest import GoldenInputs

    classifier = Classifier(loaded)
    preprocess = loaded.manifest.preprocess
    # Anything of that size: model and gate must fit each other.
    classifier.classify(np.zeros((preprocess.height, preprocess.width), dtype=np.uint8))
    if SELFTEST_FILE in loaded.manifest.files:
        GoldenInputs.from_bytes(loaded.read(SELFTEST_FILE))
    typer.echo(f"{loaded.digest}  bundle.json")
    for name, entry in loaded.manifest.files.items():
        typer.echo(f"{entry.sha256}  {name}")
    typer.echo(
        f"whole: {loaded.manifest.name} {loaded.manifest.version}, loaded by "
        f"{classifier.engine.name}. Whether this device computes the same: cxr-edge selftest"
    )
