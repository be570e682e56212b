"""One training run from tables to a finished folder."""

import importlib.metadata
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import pandas as pd

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import replacing, write_text
from cxr_edge_runtime.native_output import stderr_silenced
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.architectures import build
from cxr_edge_train.architectures.freezing import freeze
from cxr_edge_train.dataset.acquisition_weights import table_weights
from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.dataset.metadata import positives, without_test
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.dataset.splits import MIN_PATIENTS
from cxr_edge_train.defaults import MIN_SENSITIVITY
from cxr_edge_train.devices import computing, description
from cxr_edge_train.evaluation.figures import FIGURES, write_figures, write_learning_curves
from cxr_edge_train.evaluation.metrics import evaluate
from cxr_edge_train.evaluation.predictions import prediction_table
from cxr_edge_train.evaluation.run_subject import activation_maps
from cxr_edge_train.fitting.distillation import (
    Callbacks,
    discard_fits,
    fit_or_distil,
    seconds_of_all_fits,
)
from cxr_edge_train.fitting.fingerprint import RunFingerprint, recipe_for, run_fingerprint
from cxr_edge_train.fitting.unfinished import claimed
from cxr_edge_train.keras_models import predict_logits
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Recipe
from cxr_edge_train.runs import Run, read_run, write_run, write_table
from cxr_edge_train.statistics.operating_point import fit_operating_point

_VERSIONED = ("keras", "numpy", "pillow", "scikit-learn")


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
    callbacks: Callbacks = lambda number: (),
    progress: ProgressFactory = no_progress,
) -> Run:
    """Fit a model and choose temperature and operating point on validation.

    Args:
        table: the images with their splits; test rows are dropped at once.
        architecture: name in :data:`cxr_edge_train.architectures.ARCHITECTURES`.
        weights: ``imagenet``, a file, or None for random weights.
        recipe: hyper-parameters.
        seed: of initial weights, shuffling and augmentation.
        root: folder the table's paths are relative to.
        output: the run's folder. An unfinished run of the same settings goes on.
        cache_dir: for the pixel cache.
        min_sensitivity: floor of the operating point.
        callbacks: more Keras callbacks of each fit, counted from 0.
        progress: wraps the decoding of images.

    Raises:
        DatasetError: a split has too few patients of a label, or the recipe balances looks that
            the splits do not name.
        RunError: the loss left the numbers.
        InvalidRequest: the folder holds a run already, or unknown architecture or weights.
    """
    table = without_test(table)
    for split in ("train", "validation"):
        rows = table[table["split"] == split]
        _check_split(rows, split)
        table_weights(rows, balance=recipe.fit.look_balance)
    settings = run_fingerprint(
        table, architecture=architecture, weights=weights, recipe=recipe, seed=seed
    )
    recipe = recipe_for(weights, recipe)

    def start(seed: int) -> keras.Model:
        # Keras seeds TensorFlow too where it is installed, and importing it makes it chatter.
        with stderr_silenced():
            keras.utils.set_random_seed(seed)
        model = build(architecture, recipe.model, weights=weights)
        freeze(model, before=recipe.fit.fine_tune_from)
        return model

    with computing(recipe.fit):
        # Before any other work: unknown names, weights that do not fit and blocks that are not
        # there are found here.
        start(seed)
        with claimed(output, settings) as finished:
            if finished:
                run = read_run(output)
            else:
                run = _train(
                    start,
                    table,
                    settings,
                    recipe=recipe,
                    root=root,
                    output=output,
                    cache_dir=cache_dir,
                    min_sensitivity=min_sensitivity,
                    callbacks=callbacks,
                    progress=progress,
                )
                write_run(output, run)
            discard_fits(output)
    return run


def _train(
    start: Callable[[int], keras.Model],
    table: pd.DataFrame,
    settings: RunFingerprint,
    *,
    recipe: Recipe,
    root: Path,
    output: Path,
    cache_dir: Path,
    min_sensitivity: float,
    callbacks: Callbacks,
    progress: ProgressFactory,
) -> Run:
    write_text(output / "recipe.toml", settings.recipe)
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
    balance = recipe.fit.look_balance
    model = fit_or_distil(
        start,
        recipe,
        (train_pixels, positives(train)),
        (validation_pixels, labels),
        seed=settings.seed,
        output=output,
        sampling_weights=table_weights(train, balance=balance),
        callbacks=callbacks,
    )
    logits = predict_logits(model, validation_pixels)
    weights = table_weights(validation, balance=balance)
    point = fit_operating_point(logits, labels, min_sensitivity=min_sensitivity, weights=weights)
    metrics = evaluate(point.probabilities(logits), validation, threshold=point.threshold)
    predictions = prediction_table(validation, logits, point)
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
    return Run(
        architecture=settings.architecture,
        weights=settings.weights,
        seed=settings.seed,
        root=str(root.resolve()),
        dataset_digest=settings.dataset_digest,
        preprocess=spec,
        operating_point=point,
        metrics={"validation": metrics.by_name()},
        versions=_versions(),
        seconds=round(seconds_of_all_fits(output, recipe.fit.teachers), 1),
        devices=description(recipe.fit),
        weights_sha256=settings.weights_sha256,
    )


def _check_split(rows: pd.DataFrame, split: str) -> None:
    # Splits made by cxr-edge keep this; a file made by hand may not.
    patients = patient_groups(rows).groupby(rows["label"]).nunique()
    for label in LABELS:
        count = int(patients.get(label, 0))
        if count < MIN_PATIENTS:
            raise DatasetError(
                f"the {split} split has {count} {label} patients, at least {MIN_PATIENTS} are "
                "needed; make the splits again with cxr-edge split, or add images"
            )


def _versions() -> dict[str, str]:
    names = (*_VERSIONED, keras.backend.backend())
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **versions}
