"""``cxr-edge train``."""

from importlib.util import find_spec
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
from cxr_edge_runtime.errors import ExtraMissing, InvalidRequest
from cxr_edge_train.defaults import MIN_SENSITIVITY


def train(
    metadata: options.Metadata,
    splits: options.Splits = Path("splits.csv"),
    architecture: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the architecture.")
    ] = "mobilenetv2",
    weights: options.Weights = "imagenet",
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file of hyper-parameters, such as models/recipes/mobilenetv2.toml.  "
            "[default: the default of every hyper-parameter]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of the run.  [default: a new one in the user's cache]",
        ),
    ] = None,
    root: options.Root = None,
    seed: options.Seed = 0,
    min_sensitivity: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=1.0,
            metavar="SHARE",
            help="Lowest sensitivity of the operating point on validation.",
        ),
    ] = MIN_SENSITIVITY,
    locator: options.Locator = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=20,
            metavar="N",
            help="Train N models, each measured on another part of the images; needs -o.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write logs for TensorBoard to the run.")
    ] = False,
) -> None:
    """Train a classifier. All output goes to the folder of the run.

    The same command resumes a training that was interrupted.
    """
    if tensorboard and find_spec("tensorboard") is None:
        # Keras writes its files without it, but nothing could show them.
        raise ExtraMissing.of("tensorboard", needed_by="--tensorboard", extra="tensorboard")
    load_keras()
    from cxr_edge.console.training_progress import (
        print_best_epochs,
        print_start,
        training_callbacks,
    )

    if folds is not None:
        if output is None:
            raise InvalidRequest("--folds makes several runs; name a folder for them with -o")
        found = cxr_edge.cross_validate(
            metadata,
            splits,
            output=output,
            folds=folds,
            architecture=architecture,
            weights=weights,
            recipe=recipe,
            root=root,
            seed=seed,
            min_sensitivity=min_sensitivity,
            locator=locator,
            on_start=print_start,
            callbacks=training_callbacks(tensorboard=tensorboard),
            progress=Stages(),
        )
        for name, spread in found.spread.items():
            typer.echo(f"{name} over {folds} folds: {spread}")
        typer.echo(f"wrote {output}\n{found.notice}")
        return
    run = cxr_edge.train(
        metadata,
        splits,
        architecture=architecture,
        weights=weights,
        recipe=recipe,
        output=output,
        root=root,
        seed=seed,
        min_sensitivity=min_sensitivity,
        locator=locator,
        on_start=print_start,
        callbacks=training_callbacks(tensorboard=tensorboard),
        progress=Stages(),
    )
    print_best_epochs(run)
    print_metrics("validation", run.metrics["validation"], run.notice)
    say_warnings(run.warnings)
    print_operating_point(run.operating_point)
    typer.echo(f"wrote {run.folder}")
    print_next("convert", run.folder, "--int8", "-o", "bundles")
