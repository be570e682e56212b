"""Importing a Keras classifier that was trained elsewhere, as a run."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from cxr_edge_convert.external_models.contract import check_labels, check_request, contract_model
from cxr_edge_convert.new_folder import appearing_at_once
from cxr_edge_runtime.arguments import as_path, check_callables, check_share
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.files import file_sha256, full_disk_named, write_text
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.dataset.metadata import (
    dataset_digest,
    digest_of_test,
    images_root,
    read_metadata,
    read_splits,
    without_test,
)
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.defaults import MIN_SENSITIVITY, default_cache_dir
from cxr_edge_train.evaluation.figures import FIGURES, write_figures
from cxr_edge_train.evaluation.metrics import evaluate_fitted
from cxr_edge_train.evaluation.predictions import prediction_table
from cxr_edge_train.evaluation.run_subject import activation_maps
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.runs import Run, write_run, write_table
from cxr_edge_train.statistics.operating_point import fit_operating_point
from cxr_edge_train.statistics.soundness import has_reversed_labels, soundness_warnings

# What a run, and later a bundle, says of where the weights come from.
# A bundle's has twice as many characters, of which some name the variant.
_LONGEST_NAME = 64
UNKNOWN_WEIGHTS = "unknown: trained outside cxr-edge, perhaps on these validation images"


def import_keras_model(
    model: str | Path,
    metadata: str | Path,
    splits: str | Path,
    output: str | Path,
    *,
    labels: Sequence[str] | None = None,
    scaling: str | None = None,
    root: str | Path | None = None,
    min_sensitivity: float = MIN_SENSITIVITY,
    progress: ProgressFactory = no_progress,
) -> Run:
    """Import a Keras classifier that was trained outside cxr-edge.

    The model is brought into the model contract (grey 0 to 255 in; ``logit`` and, as far as its
    graph allows, ``cam`` and ``embedding`` out). Its temperature and its threshold are chosen on
    the validation images. Everything is written to a run's folder, which the other functions take
    as they take a run that was trained here. The folder appears when all of it is written.

    Args:
        model: the ``.keras`` or ``.h5`` file. It is a functional or sequential model with one
            input ``[N, H, W, 1]`` or ``[N, H, W, 3]``, and it ends in a Dense layer of one unit
            (sigmoid) or two (softmax), or in their logits. The models of cxr-edge itself, with
            three outputs, are taken as well.
        metadata: ``clean_metadata.csv``, which :func:`cxr_edge.clean` wrote.
        splits: ``splits.csv``, which :func:`cxr_edge.split` wrote. Test images are left out.
        output: the folder to make; it must be missing or empty.
        labels: the two labels in the order of the model's outputs; by default the negative one
            first, as ``("NORMAL", "PNEUMONIA")``. A single output gives the probability of the
            second label.
        scaling: what grey values were turned into while the model was trained: ``0-255`` (nothing
            was done), ``0-1`` (divided by 255) or ``-1-1`` (divided by 127.5, less 1). None when a
            layer of the model scales them.
        root: the folder that the paths in the metadata are relative to; the metadata's own folder
            if None.
        min_sensitivity: the lowest sensitivity that the threshold may have on validation.
        progress: shows how far the reading of images has come.

    Returns:
        The run, with its threshold, its metrics on validation and warnings.

    Raises:
        InvalidRequest: the output is not empty or cannot be made, the model cannot be loaded, or
            labels or scaling do not fit the model; labels in the wrong order are known by an AUC
            below 0.5.
        ConversionError: the model is no classifier of a form that can be understood.
        DatasetError: metadata, splits or images cannot be used.

    Examples:
        >>> from cxr_edge import import_keras_model
        >>> run = import_keras_model(
        ...     "own.keras", "clean_metadata.csv", "splits.csv", "own-run", scaling="0-1"
        ... )
        >>> run.folder.name, run.operating_point.chosen_on
        ('own-run', 'validation')
    """
    file, output = as_path(model, "model"), as_path(output, "output")
    metadata, splits = as_path(metadata, "metadata"), as_path(splits, "splits")
    check_share(min_sensitivity, "min_sensitivity")
    check_callables(progress=progress)
    check_request(file, labels=labels, scaling=scaling)
    check_folder(output, "empty", ours=lambda _: False, anew=True)
    cleaned = read_metadata(metadata)
    names = class_names(cleaned)
    labels = names if labels is None else labels
    check_labels(labels, names)
    all_images = read_splits(splits, cleaned)
    table = without_test(all_images)
    validation = table[table["split"] == "validation"].reset_index(drop=True)
    if len(np.unique(positives(validation))) < 2:
        raise DatasetError(f"{splits}: validation needs images of both labels")
    made = contract_model(file, labels=labels, names=names, scaling=scaling)
    with appearing_at_once(output) as staging:
        run = _write(
            staging,
            made,
            table,
            file=file,
            root=images_root(root, default=metadata.resolve().parent),
            min_sensitivity=min_sensitivity,
            test_digest=digest_of_test(all_images),
            progress=progress,
        )
    warnings = soundness_warnings(run.metrics["validation"], run.operating_point, run.class_names)
    return replace(run, folder=output, warnings=warnings)


def _write(
    folder: Path,
    model: keras.Model,
    table: pd.DataFrame,
    *,
    file: Path,
    root: Path,
    min_sensitivity: float,
    test_digest: str,
    progress: ProgressFactory,
) -> Run:
    """Measure a model of the contract and write its run."""
    _, height, width, _ = model.inputs[0].shape
    spec = PreprocessSpec(height, width)
    validation = table[table["split"] == "validation"].reset_index(drop=True)
    pixels = load_pixels(
        validation,
        Preprocessor(spec),
        root=root,
        cache_dir=default_cache_dir(),
        progress=progress,
    )
    logits, labels = predict_logits(model, pixels), positives(validation)
    broken = ~np.isfinite(logits)
    if broken.any():
        first = validation["path"].iloc[int(broken.argmax())]
        raise InvalidRequest(
            f"{file}: gives no finite number for {broken.sum()} of {len(broken)} validation "
            f"images, such as {first}; such a model cannot be used"
        )
    point = fit_operating_point(logits, labels, min_sensitivity=min_sensitivity)
    metrics = evaluate_fitted(logits, validation, point)
    if has_reversed_labels(metrics.by_name()):
        raise InvalidRequest(
            f"{file}: the labels are reversed: on validation its AUC is {metrics.auc}; give them "
            "in the other order"
        )
    predictions = prediction_table(validation, logits, point)
    with full_disk_named(folder):
        model.save(folder / "model.keras")
    write_text(folder / "recipe.toml", "")  # no hyper-parameter is known
    write_table(folder / "dataset.csv", table)
    write_table(folder / "predictions.csv", predictions)
    write_figures(
        folder / FIGURES,
        predictions,
        metrics,
        threshold=point.threshold,
        films=lambda rows: pixels[rows],
        activation_maps=partial(activation_maps, model, point) if "cam" in model.output else None,
    )
    run = Run(
        folder=folder,
        architecture=_plain_name(file.stem),
        weights=UNKNOWN_WEIGHTS,
        seed=0,
        root=str(root.resolve()),
        dataset_digest=dataset_digest(table),
        preprocess=spec,
        operating_point=point,
        metrics={"validation": metrics.by_name()},
        versions={"keras": keras.__version__},
        seconds=0.0,
        imported_sha256=file_sha256(file),
        test_digest=test_digest,
        unknown_patients=UnknownPatients.among(table),
        labels=class_names(table),
    )
    write_run(folder, run)
    return run


def _plain_name(stem: str) -> str:
    """A name for folders and bundles; a file's may hold anything."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem)[:_LONGEST_NAME].strip("-") or "own"
