"""``cxr-edge split``."""

from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.terminal import print_next, say_warnings
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.files.outputs import is_stdout


def split(
    metadata: options.Metadata,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ] = Path("splits.csv"),
    seed: options.Seed = 0,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the metadata, such as a site, a device or a day: images with the same "
            "value stay together.  [default: none]",
        ),
    ] = None,
) -> None:
    """Split images into train, validation and test by patient.

    No patient is in two of them. The data set's own test folder stays test. Near-duplicates that
    cleaning found stay together; those of test images, and those with two labels, are left out
    and listed in a second file.
    """
    result = cxr_edge.split(metadata, output, seed=seed, group_by=group_by)
    splits_on_stdout = is_stdout(output)
    for count in result.counts:
        typer.echo(f"{count.split:<10}  {count.label:<9}  {count.images:>6}", err=splits_on_stdout)
    if result.joined:
        pairs = counted(len(result.joined), "pair")
        typer.echo(
            f"near-duplicates of different patients on one side: {pairs}",
            err=splits_on_stdout,
        )
    if result.left_out:
        listed = result.left_out_list or "not listed"
        typer.echo(f"left out {counted(result.left_out, 'image')}: {listed}", err=splits_on_stdout)
    say_warnings(result.warnings)
    typer.echo(f"wrote {result.splits}", err=splits_on_stdout)
    if not splits_on_stdout:
        print_next("train", metadata, "--splits", result.splits, "-o", "run")
