"""``cxr-edge split``."""

from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.terminal import say
from cxr_edge_runtime.outputs import is_stdout


def split(
    metadata: options.Metadata,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "splits.csv"
    ),
    seed: options.Seed = 0,
) -> None:
    """Split images into train, validation and test by patient.

    No patient is in two of them. The data set's own test folder stays test.
    """
    result = cxr_edge.split(metadata, output, seed=seed)
    for warning in result.warnings:
        say(f"warning: {warning}")
    splits_on_stdout = is_stdout(output)
    for count in result.counts:
        typer.echo(f"{count.split:<10}  {count.label:<9}  {count.images:>6}", err=splits_on_stdout)
    typer.echo(f"wrote {result.splits}", err=splits_on_stdout)
