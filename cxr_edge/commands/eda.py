"""``cxr-edge eda``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import progress_bar, say


def eda(
    metadata: options.Metadata,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for eda.html and its figures.")
    ] = Path("eda"),
    recipe: Annotated[
        Path | None,
        typer.Option(help="TOML file whose augmentation is shown; defaults without it."),
    ] = None,
    root: options.Root = None,
    seed: options.Seed = 0,
) -> None:
    """Explore a cleaned data set: one HTML page and its figures.

    Shows counts, sizes, intensities, patients, samples, the planned augmentation, and what cleaning
    found. No pixel of a test image is read. Research use only. Not a medical device.
    """
    from cxr_edge_runtime.bundle.manifest import NOTICE
    from cxr_edge_train.eda.exploration import explore
    from cxr_edge_train.recipe import Recipe, read_recipe

    exploration = explore(
        metadata,
        output,
        root=root or metadata.resolve().parent,
        recipe=read_recipe(recipe) if recipe else Recipe(),
        recipe_name=recipe.name if recipe else "the defaults",
        seed=seed,
        progress=progress_bar,
    )
    for alarm in exploration.alarms:
        say(f"warning: {alarm}")
    typer.echo(f"wrote {exploration.page} and {len(exploration.figures)} figures")
    typer.echo(NOTICE)
