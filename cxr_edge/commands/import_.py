"""``cxr-edge import``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.loading import load_keras
from cxr_edge.console.terminal import (
    Stages,
    print_metrics,
    print_next,
    print_operating_point,
    say_warnings,
)
from cxr_edge_train.defaults import MIN_SENSITIVITY


class Scaling(StrEnum):
    """What grey values were turned into while a model was trained."""

    GREY = "0-255"
    UNIT = "0-1"
    SIGNED = "-1-1"


def import_(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A Keras classifier, .keras or .h5.")
    ],
    *,
    metadata: Annotated[
        Path,
        typer.Option("--metadata", metavar="FILE", help="clean_metadata.csv, from cxr-edge clean."),
    ],
    splits: options.Splits = Path("splits.csv"),
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the run to make.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="FIRST,SECOND",
            help="The labels in the order of its outputs; a single output gives the probability "
            "of the second. [default: the negative label first, as NORMAL,PNEUMONIA]",
        ),
    ] = None,
    scaling: Annotated[
        Scaling | None,
        typer.Option("--scaling", help="The grey values it was trained on, if no layer scales."),
    ] = None,
    root: options.Root = None,
    min_sensitivity: Annotated[
        float,
        typer.Option(
            min=0.01, max=1.0, metavar="SHARE", help="Floor of the operating point on validation."
        ),
    ] = MIN_SENSITIVITY,
) -> None:
    """Import a Keras classifier that was trained elsewhere.

    The result is a run like that of train, for convert and evaluate. Its threshold is chosen on
    the validation images.
    """
    from cxr_edge_runtime.bundle.manifest import NOTICE

    load_keras("tensorflow")
    run = cxr_edge.import_keras_model(
        model,
        metadata,
        splits,
        output,
        labels=None if labels is None else labels.split(","),
        scaling=scaling,
        root=root,
        min_sensitivity=min_sensitivity,
        progress=Stages(),
    )
    print_metrics("validation", run.metrics["validation"], NOTICE)
    say_warnings(run.warnings)
    print_operating_point(run.operating_point)
    typer.echo(f"wrote {output}")
    print_next("convert", output, "--int8", "-o", "bundles")
