"""``cxr-edge train-locator``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.loading import load_keras
from cxr_edge.console.terminal import Stages, say
from cxr_edge_runtime.counting import counted

if TYPE_CHECKING:
    from cxr_edge_train.locator_folder import LocatorRecord


def train_locator(
    metadata: options.Metadata,
    masks: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder with a PNG mask per image, named like the image; white is lung.",
        ),
    ],
    splits: options.Splits = Path("splits.csv"),
    weights: options.Weights = "imagenet",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder to make.  [default: a new one in the user's cache]",
        ),
    ] = None,
    root: options.Root = None,
    seed: options.Seed = 0,
) -> None:
    """Train a lung locator, and convert it to TFLite and ONNX.

    The converted models are compared with the trained one on validation. The same command resumes a
    training that was interrupted. Exit code 4 when the box leaves out too much of the
    lungs, or a converted model differs too much.
    """
    load_keras("tensorflow")
    from cxr_edge.console.training_progress import print_start, training_callbacks

    locator = cxr_edge.train_locator(
        metadata,
        splits,
        masks=masks,
        weights=weights,
        output=output,
        root=root,
        seed=seed,
        on_start=print_start,
        callbacks=training_callbacks(),
        progress=Stages(),
    )
    _print_record(locator.record)
    typer.echo(f"wrote {locator.folder}")


def _print_record(record: "LocatorRecord") -> None:
    """Print how good the locator is, by label, and what each converted model changes."""
    trained, validated = record.films["train"], record.films["validation"]
    typer.echo(f"trained on {counted(trained, 'film')}, measured on {validated} of validation")
    if record.without_mask:
        say(
            f"warning: {counted(record.without_mask, 'film')} without a mask that shows lung left "
            "out"
        )
    for label, metrics in record.metrics.items():
        typer.echo(
            f"{label:<9}  n = {metrics.covered.n}  Dice {metrics.dice:.3f}  box error "
            f"{metrics.box_error:.2f} cells of 32 (99% below {metrics.box_error_99:.1f})\n"
            f"           no lungs found {metrics.not_found}\n"
            f"           98% of the lungs in the box {metrics.covered}"
        )
    typer.echo(f"the box is {record.margin:g} times as wide and high as the lungs")
    for name, check in record.checks.items():
        typer.echo(
            f"{name:<14}  {record.files[name].bytes} bytes  Dice to Keras {check.dice:.4f}  moved "
            f"by more than a cell {check.moved}, in {check.unequal} at all  largest difference "
            f"of a logit {check.largest_difference:.1e}"
        )
