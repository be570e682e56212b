"""``cxr-edge split``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import say


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
    from cxr_edge_runtime.errors import InvalidRequest
    from cxr_edge_train.dataset.metadata import read_metadata, write_splits
    from cxr_edge_train.dataset.splits import assign_splits

    if output.resolve() == metadata.resolve():
        raise InvalidRequest(f"{output}: is the metadata itself; choose another --output")
    table = read_metadata(metadata)
    assigned = assign_splits(table, seed=seed)
    write_splits(output, assigned)
    if len(assigned) < len(table):
        say(
            f"warning: {len(table) - len(assigned)} training images left out, because their "
            "patients have test images too"
        )
    for name in sorted(set(assigned["split"])):
        labels = assigned.loc[assigned["split"] == name, "label"]
        for label in sorted(set(labels)):
            typer.echo(f"{name:<10}  {label:<9}  {(labels == label).sum():>6}")
    typer.echo(f"wrote {output}")
