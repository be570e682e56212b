"""``cxr-edge eda``."""

from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.terminal import print_next, progress_bar, say_warnings


def eda(
    metadata: options.Metadata,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for eda.html and its figures."),
    ] = Path("eda"),
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file of the recipe whose augmentation is shown. [default: the default "
            "recipe]",
        ),
    ] = None,
    root: options.Root = None,
    seed: options.Seed = 0,
) -> None:
    """Explore a cleaned data set: an HTML page with figures.

    Shows counts, sizes, intensities, patients, samples, the planned augmentation, and what cleaning
    found. No pixel of a test image is read. Research use only. Not a medical device.
    """
    exploration = cxr_edge.eda(
        metadata, output, recipe=recipe, root=root, seed=seed, progress=progress_bar
    )
    typer.echo(f"wrote {exploration.page} and {len(exploration.figures)} figures")
    say_warnings(exploration.warnings)
    typer.echo(exploration.notice)
    print_next("split", metadata, "-o", "splits.csv")
