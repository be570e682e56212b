"""One training run from tables to a finished folder."""

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import keras
import pandas as pd

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.files import replacing, write_text
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.architectures import build
from cxr_edge_train.dataset.metadata import dataset_digest
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.defaults import MIN_SENSITIVITY
from cxr_edge_train.evaluation.figures import FIGURES, write_figures, write_learning_curves
from cxr_edge_train.evaluation.metrics import evaluate, positives
from cxr_edge_train.evaluation.operating_point import choose_operating_point
from cxr_edge_train.evaluation.predictions import prediction_table
from cxr_edge_train.evaluation.run_subject import activation_maps
from cxr_edge_train.evaluation.temperature import fit_temperature, probabilities
from cxr_edge_train.fitting import CHECKPOINT, fit, predict_logits
from cxr_edge_train.recipe import Recipe, recipe_as_toml
from cxr_edge_train.runs import Run, write_run, write_table

_VERSIONED = ("keras", "tensorflow", "jax", "torch", "numpy", "pillow", "scikit-learn")


def train_run(
    table: pd.DataFrame,
    *,
    architecture: str,
    weights: str | None,
    recipe: Recipe,
    seed: int,
    root: Path,
    output: Path,
    cache_dir: Path,
    min_sensitivity: float = MIN_SENSITIVITY,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: Callable[[Iterable[str], int], Iterable[str]] = lambda items, total: items,
) -> Run:
    """Fit a model and choose temperature and operating point on validation.

    Args:
        table: the images with their splits; test rows are dropped at once.
        architecture: name in :data:`cxr_edge_train.architectures.ARCHITECTURES`.
        weights: ``imagenet``, a file, or None for random weights.
        recipe: hyper-parameters.
        seed: of initial weights, shuffling and augmentation.
        root: folder the table's paths are relative to.
        output: the run's folder; must not hold a run yet.
        cache_dir: for the pixel cache.
        min_sensitivity: floor of the operating point.
        callbacks: more Keras callbacks.
        progress: wraps the decoding of images.

    Raises:
        DatasetError: a split lacks a label.
        RunError: the loss left the numbers.
        InvalidRequest: the folder holds a run already, or unknown architecture or weights.
    """
    if (output / "run.json").exists():
        raise InvalidRequest(f"{output}: holds a finished run already; choose another --output")
    table = table[table["split"].isin(["train", "validation"])].reset_index(drop=True)
    for split in ("train", "validation"):
        if table.loc[table["split"] == split, "label"].nunique() < 2:
            raise DatasetError(f"the {split} split has not both labels; make the splits again")
    # Before any other work: unknown names and weights that do not fit are found here.
    keras.utils.set_random_seed(seed)
    model = build(architecture, recipe.model, weights=weights)
    output.mkdir(parents=True, exist_ok=True)
    for name in ("history.csv", CHECKPOINT):  # of an attempt that did not finish
        (output / name).unlink(missing_ok=True)
    write_text(output / "recipe.toml", recipe_as_toml(recipe))
    write_table(output / "dataset.csv", table)

    size = recipe.model.image_size
    spec = PreprocessSpec(height=size, width=size)
    train = table[table["split"] == "train"]
    validation = table[table["split"] == "validation"]
    train_pixels, validation_pixels = (
        load_pixels(rows, spec, root=root, cache_dir=cache_dir, progress=progress)
        for rows in (train, validation)
    )
    labels = positives(validation)
    started = time.monotonic()
    model = fit(
        model,
        recipe,
        (train_pixels, positives(train)),
        (validation_pixels, labels),
        seed=seed,
        output=output,
        callbacks=callbacks,
    )
    seconds = time.monotonic() - started

    logits = predict_logits(model, validation_pixels)
    temperature = fit_temperature(logits, labels)
    probability = probabilities(logits, temperature)
    point = choose_operating_point(probability, labels, min_sensitivity=min_sensitivity)
    metrics = evaluate(probability, validation, threshold=point.threshold)
    predictions = prediction_table(
        validation, logits, temperature=temperature, threshold=point.threshold
    )
    write_table(output / "predictions.csv", predictions)
    with replacing(output / "model.keras") as temporary:
        model.save(temporary)
    write_figures(
        output / FIGURES,
        predictions,
        metrics,
        threshold=point.threshold,
        films=lambda rows: validation_pixels[rows],
        activation_maps=partial(activation_maps, model),
    )
    write_learning_curves(output, output / FIGURES)
    run = Run(
        architecture=architecture,
        weights="none" if weights is None else Path(weights).name,
        seed=seed,
        root=str(root.resolve()),
        dataset_digest=dataset_digest(table),
        preprocess=spec,
        temperature=temperature,
        threshold=point.threshold,
        threshold_rule=point.rule,
        metrics={"validation": metrics.as_dict()},
        versions=_versions(),
        seconds=round(seconds, 1),
    )
    write_run(output, run)
    return run


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional backend that is not installed
    return versions
