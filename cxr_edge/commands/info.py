"""``cxr-edge info``."""

from typing import Annotated

import typer

_MISSING = {
    "cam": "no heat map: the model gives no activation map",
    "embedding": "no input gate: the model gives no embedding to tell films from other images",
}


def info(
    bundle: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUNDLE]",
            help="A bundle's folder or the name of a shipped one; the default one without it.",
        ),
    ] = None,
) -> None:
    """Say what a bundle is, what was measured of it and what it cannot do."""
    from cxr_edge.bundles import load_bundle

    loaded = load_bundle(bundle)
    manifest = loaded.manifest
    entry = manifest.files[manifest.model.file]
    _, height, width, _ = manifest.input.shape
    typer.echo(f"{manifest.name} {manifest.version}, digest {loaded.digest}")
    typer.echo(
        f"model      {manifest.model.format}, {manifest.model.quantization}, "
        f"{entry.bytes:,} bytes, {width}x{height} grey"
    )
    typer.echo(f"trained    {manifest.training.architecture}, from {manifest.training.weights}")
    typer.echo(
        f"decision   {manifest.positive_label} from {manifest.threshold.value:.4f} on "
        f"({manifest.threshold.rule}, on {manifest.threshold.chosen_on})"
    )
    for split, figures in manifest.metrics.items():
        for name in ("sensitivity", "specificity", "auc"):
            if name in figures:
                figure = figures[name]
                typer.echo(
                    f"{split:<10} {name} {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}], "
                    f"{figure.n} images"
                )
    for output, words in _MISSING.items():
        if output not in manifest.outputs:
            typer.echo(f"missing    {words}")
    if manifest.gate is None:
        typer.echo("missing    no input gate: every image gets an answer")
    typer.echo(f"use        {manifest.intended_use}")
    typer.echo(manifest.notice)
