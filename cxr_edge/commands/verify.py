"""``cxr-edge verify``."""

from typing import Annotated

import typer


def verify(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="A bundle's folder or the name of a shipped one; the default one without it.",
        ),
    ] = None,
) -> None:
    """Check that a bundle is whole: every file against its SHA-256, and that it can be loaded.

    Exit code 1 when it is not.
    """
    import numpy as np

    from cxr_edge.bundles import load_bundle
    from cxr_edge_runtime.classifier import Classifier
    from cxr_edge_runtime.manifest import SELFTEST_FILE
    from cxr_edge_runtime.selftest import GoldenInputs

    loaded = load_bundle(bundle)
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
