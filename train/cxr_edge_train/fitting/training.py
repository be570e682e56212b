"""From a training task to a finished run."""

import importlib.metadata
import platform
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras

from cxr_edge_runtime.files import replacing, write_text
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.augmentation import CROPPED_FROM
from cxr_edge_train.backend.devices import computing, description
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.evaluation.figures import FIGURES, write_figures, write_learning_curves
from cxr_edge_train.evaluation.metrics import evaluate_fitted
from cxr_edge_train.evaluation.predictions import prediction_table
from cxr_edge_train.evaluation.run_subject import activation_maps
from cxr_edge_train.fitting.events import (
    CallbackFactory,
    FitStart,
    OnStart,
    RunStart,
    ignore_start,
    no_callbacks,
)
from cxr_edge_train.fitting.fit import fit
from cxr_edge_train.fitting.snapshots import discard, read_progress
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.fitting.unfinished import check_resumable, claimed
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.run_locator import keep_locator
from cxr_edge_train.runs import Run, read_history, read_run, write_run, write_table
from cxr_edge_train.statistics.operating_point import fit_operating_point

_VERSIONED = ("keras", "numpy", "pillow", "scikit-learn")


def train_run(
    task: TrainingTask,
    *,
    output: Path,
    cache_dir: Path,
    on_start: OnStart = ignore_start,
    callbacks: CallbackFactory = no_callbacks,
    progress: ProgressFactory = no_progress,
) -> Run:
    """Fit a model, choose its operating point on validation, and write the run.

    Args:
        task: what is trained from what.
        output: folder of the run. An unfinished run of the same task is resumed.
        cache_dir: folder of decoded pixels.
        on_start: called once before any work.
        callbacks: gives additional Keras callbacks for the fit.
        progress: makes the progress bar over the images that are decoded.

    Raises:
        DatasetError: a split has too few patients of a label, or an image is missing or changed.
        RunError: the loss was no longer a number, or what an earlier training left or the lung
            locator is damaged.
        EngineError: the lung locator cannot be loaded or run.
        InvalidRequest: the folder holds another run or other files, or the architecture or the
            weights are unknown or do not fit.
        WeightsUnavailable: the ImageNet weights cannot be downloaded or loaded.
    """
    check_resumable(output, task.fingerprint)
    on_start(start_of(task, output))
    task.check_images()
    prepare = task.preprocessor()
    with computing(task.recipe.fit):
        # Before any other work: unknown names and weights that do not fit are found here.
        task.untrained_model()
        with claimed(output, task.fingerprint) as finished:
            if finished:
                run = read_run(output)
            else:
                run = _train(task, prepare, output, cache_dir, callbacks, progress)
                write_run(output, run)
            discard(output)
    return run


def start_of(task: TrainingTask, output: Path, *, finished: bool = False) -> RunStart:
    """What is known of a run before it is trained.

    Args:
        task: what is trained from what.
        output: folder of the run.
        finished: the run exists already.

    Raises:
        RunError: a snapshot of an interrupted training is damaged.
    """
    return RunStart(
        architecture=task.architecture,
        folder=output,
        devices=description(task.recipe.fit),
        epochs_done=read_progress(output).epochs,
        finished=finished,
    )


def _train(
    task: TrainingTask,
    prepare: Preprocessor,
    output: Path,
    cache_dir: Path,
    callbacks: CallbackFactory,
    progress: ProgressFactory,
) -> Run:
    settings, fingerprint = task.recipe.fit, task.fingerprint
    write_text(output / "recipe.toml", fingerprint.recipe)
    write_table(output / "dataset.csv", task.table)
    if task.locator:
        keep_locator(task.locator, output)
    train, validation = task.rows("train"), task.rows("validation")
    train_pixels, validation_pixels = (
        load_pixels(rows, shown, root=task.root, cache_dir=cache_dir, progress=progress)
        for rows, shown in ((train, _for_crops(prepare)), (validation, prepare))
    )
    labels = positives(validation)
    model = fit(
        task.untrained_model(),
        task.recipe,
        (train_pixels, positives(train)),
        (validation_pixels, labels),
        seed=task.seed,
        output=output,
        callbacks=callbacks(FitStart(output, settings)),
    )
    logits = predict_logits(model, validation_pixels)
    point = fit_operating_point(
        logits,
        labels,
        min_sensitivity=task.min_sensitivity,
    )
    metrics = evaluate_fitted(logits, validation, point)
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
        activation_maps=partial(activation_maps, model, point),
    )
    write_learning_curves(output, output / FIGURES)
    return Run(
        folder=output,
        architecture=task.architecture,
        weights=fingerprint.weights,
        seed=task.seed,
        root=str(task.root.resolve()),
        dataset_digest=fingerprint.dataset_digest,
        preprocess=prepare.spec,
        operating_point=point,
        metrics={"validation": metrics.by_name()},
        versions=_versions(),
        seconds=round(float(read_history(output)["seconds"].sum()), 1),
        devices=description(settings),
        weights_sha256=fingerprint.weights_sha256,
        test_digest=task.test_digest,
        unknown_patients=UnknownPatients.among(task.table),
        labels=class_names(task.table),
        locator_sha256=fingerprint.locator_sha256,
    )


def _for_crops(prepare: Preprocessor) -> Preprocessor:
    """The same view of a film, of more pixels, so that crops of it are sharp."""
    side = round(CROPPED_FROM * prepare.spec.height)
    return replace(prepare, spec=PreprocessSpec.of_version(prepare.spec.version, size=side))


def _versions() -> dict[str, str]:
    names = (*_VERSIONED, keras.backend.backend())
    versions = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **versions}
