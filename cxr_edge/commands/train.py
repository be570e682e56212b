"""``cxr-edge train``."""

from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import print_metrics, progress_bar, say
from cxr_edge_train.defaults import MIN_SENSITIVITY

# The AUC of a model that guesses.
CHANCE = 0.5


def train(
    metadata: options.Metadata,
    splits: options.Splits = Path("splits.csv"),
    architecture: Annotated[str, typer.Option(help="Name of the architecture.")] = "mobilenetv2",
    weights: Annotated[
        str,
        typer.Option(metavar="imagenet|none|FILE", help="Where the backbone's weights begin."),
    ] = "imagenet",
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="TOML file of hyper-parameters, such as models/recipes/mobilenetv2.toml; "
            "defaults without it."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of the run; by default a new one in the user's cache."
        ),
    ] = None,
    root: options.Root = None,
    seed: options.Seed = 0,
    min_sensitivity: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Floor of the operating point on validation.")
    ] = MIN_SENSITIVITY,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the run's folder tensorboard/ as well.")
    ] = False,
) -> None:
    """Train a classifier; all it leaves is in the run's folder.

    The same command goes on with a run that was interrupted.
    """
    from cxr_edge.process.keras_backend import load_quietly

    load_quietly()
    import keras

    from cxr_edge.console.training_progress import TrainingProgress
    from cxr_edge_runtime.bundle.manifest import NOTICE
    from cxr_edge_train.dataset.metadata import read_metadata, read_splits
    from cxr_edge_train.defaults import default_cache_dir
    from cxr_edge_train.devices import description
    from cxr_edge_train.fitting.distillation import epochs_done
    from cxr_edge_train.fitting.fingerprint import recipe_for, run_fingerprint
    from cxr_edge_train.fitting.training import train_run
    from cxr_edge_train.fitting.unfinished import folder_for
    from cxr_edge_train.recipe import Recipe, read_recipe

    if tensorboard:
        _require_tensorboard()
    start = None if weights == "none" else weights
    settings = recipe_for(start, read_recipe(recipe) if recipe else Recipe())
    cleaned = read_metadata(metadata)
    table = read_splits(splits, cleaned)
    if len(table) < len(cleaned):
        say(f"note: {len(cleaned) - len(table)} images of the metadata are in no split")
    folder = output or folder_for(
        default_cache_dir(),
        run_fingerprint(
            table, architecture=architecture, weights=start, recipe=settings, seed=seed
        ),
    )
    done = epochs_done(folder, settings.fit.teachers)
    say(f"run: {folder}, on {description(settings.fit)}")
    if done:
        say(f"going on after {done} epochs")

    def callbacks(number: int) -> list[keras.callbacks.Callback]:
        progress = TrainingProgress(settings.fit, number)
        if not tensorboard:
            return [progress]
        fit = f"fit-{number + 1}" if settings.fit.teachers else "."
        return [progress, keras.callbacks.TensorBoard(folder / "tensorboard" / fit)]

    run = train_run(
        table,
        architecture=architecture,
        weights=start,
        recipe=settings,
        seed=seed,
        root=root or metadata.resolve().parent,
        output=folder,
        cache_dir=default_cache_dir(),
        min_sensitivity=min_sensitivity,
        callbacks=callbacks,
        progress=progress_bar,
    )
    print_metrics("validation", run.metrics["validation"], NOTICE)
    if run.metrics["validation"]["auc"].low <= CHANCE:
        say("warning: on validation this model is not clearly better than chance; train longer")
    point = run.operating_point
    typer.echo(
        f"threshold {point.threshold:.4f} ({point.rule}), temperature {point.temperature:.3f}"
    )
    typer.echo(f"wrote {folder}")


def _require_tensorboard() -> None:
    try:
        import tensorboard  # noqa: F401  # Keras writes without it, but nothing could show it
    except ModuleNotFoundError as error:
        from cxr_edge_runtime.errors import ExtraMissing

        raise ExtraMissing(
            "--tensorboard needs tensorboard, which is not installed; "
            "run: pip install 'cxr-edge[tensorboard]'"
        ) from error
