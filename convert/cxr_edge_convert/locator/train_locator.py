"""``cxr_edge.train_locator``: from masks to a lung locator for devices, in one call."""

import hashlib
import importlib.metadata
import platform
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import keras
import pandas as pd

from cxr_edge_convert.locator.conversion import compare_locator, convert_locator
from cxr_edge_runtime.arguments import as_path, check_callables, optional_path
from cxr_edge_runtime.bundle.manifest import LOCATOR_VERSION, FileEntry
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import replacing, write_bytes
from cxr_edge_runtime.native_output import stderr_silenced
from cxr_edge_train.backend.devices import computing, description
from cxr_edge_train.backend.keras_models import predict_output
from cxr_edge_train.dataset.metadata import images_root, read_metadata, read_splits
from cxr_edge_train.dataset.sampling import as_seed
from cxr_edge_train.defaults import default_cache_dir
from cxr_edge_train.fitting.events import (
    CallbackFactory,
    FitStart,
    OnStart,
    RunStart,
    ignore_start,
    no_callbacks,
)
from cxr_edge_train.fitting.fingerprint import RunFingerprint
from cxr_edge_train.fitting.snapshots import discard, read_progress
from cxr_edge_train.fitting.train import starting_weights
from cxr_edge_train.fitting.unfinished import check_output, claimed, folder_for
from cxr_edge_train.locator.films import OutlinedFilms
from cxr_edge_train.locator.fit import DICE, SETTINGS, fit_locator, recipe_of
from cxr_edge_train.locator.grid import snap_kernels
from cxr_edge_train.locator.measuring import boxes_of, choose_margin, measure
from cxr_edge_train.locator.network import build_locator
from cxr_edge_train.locator_folder import (
    KERAS,
    MODELS,
    RECORD,
    LocatorFolder,
    LocatorRecord,
    read_locator,
    write_record,
)
from cxr_edge_train.progress import ProgressFactory, as_stage, no_progress
from cxr_edge_train.runs import read_history

_NAME = "lung-locator"
_VERSIONED = ("ai-edge-quantizer", "keras", "numpy", "onnx", "pillow", "tensorflow", "tf2onnx")


def train_locator(
    metadata: str | Path,
    splits: str | Path = "splits.csv",
    *,
    masks: str | Path,
    weights: str | Path | None = "imagenet",
    output: str | Path | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    on_start: OnStart = ignore_start,
    callbacks: CallbackFactory = no_callbacks,
    progress: ProgressFactory = no_progress,
) -> LocatorFolder:
    """Train a lung locator on masks, and convert it to TFLite and ONNX.

    Each converted model is run on the validation films and compared with the Keras model. Test
    films are not read. Films without a mask are left out, and those whose mask shows no lung; they
    are counted. The same call resumes a training that was interrupted. Keras must use TensorFlow.

    Args:
        metadata: ``clean_metadata.csv``, which :func:`cxr_edge.clean` writes.
        splits: ``splits.csv``, which :func:`cxr_edge.split` writes.
        masks: a folder with a PNG file for each film, called as the film is, white where it shows
            lung. It may have folders within.
        weights: what the backbone's weights start from: ``imagenet``, which Keras downloads once,
            a file of weights of MobileNetV2 with alpha 0.35, or None (or ``none``) for random ones.
        output: the folder to make; None for a new one in the user's cache folder.
        root: folder that the paths in the metadata are relative to; None for the folder of the
            metadata.
        seed: seed of everything random, 0 to 2**32 - 1.
        on_start: called once before the films are read.
        callbacks: gives additional Keras callbacks for the fit.
        progress: shows how far the work has come.

    Returns:
        The locator's folder; its record says how good the locator is on validation, by label, and
        how the converted models differ from it.

    Raises:
        InvalidRequest: an argument is of the wrong type or out of range, the weights do not fit,
            Keras does not use TensorFlow, or the output holds something else.
        DatasetError: metadata, splits, films or masks are missing, damaged or too few.
        ImageError: a mask or a film cannot be read.
        WeightsUnavailable: the ImageNet weights cannot be downloaded.
        RunError: the loss was no longer a number, or what an earlier training left is damaged.
        ConversionError: a converted model takes too many bytes.
        LimitMissed: the box leaves out too much of the lungs, or a converted model differs from
            the Keras model. Then the folder is not finished: it has no ``locator.json``.

    Examples:
        >>> from cxr_edge import train_locator
        >>> locator = train_locator("clean_metadata.csv", masks="masks", weights=None,
        ...                         output="locator")
        >>> sorted(locator.record.files)
        ['locator.onnx', 'locator.tflite']
        >>> locator.record.metrics["PNEUMONIA"].covered.value >= 0.99
        True
    """
    metadata, splits = as_path(metadata, "metadata"), as_path(splits, "splits")
    masks = as_path(masks, "masks")
    check_callables(on_start=on_start, callbacks=callbacks, progress=progress)
    if keras.backend.backend() != "tensorflow":
        raise InvalidRequest(
            f"Keras uses {keras.backend.backend()}, but conversion needs TensorFlow; set "
            "KERAS_BACKEND=tensorflow before Keras is imported"
        )
    start, seed = starting_weights(weights), as_seed(seed)
    given = optional_path(output, "output")
    if given is not None:
        check_output(given, RECORD)
    table = read_splits(splits, read_metadata(metadata))
    films_root = images_root(root, default=metadata.resolve().parent)
    task = _Task.of(table, masks, weights=start, seed=seed, root=films_root, progress=progress)
    folder = given or folder_for(default_cache_dir(), task.fingerprint)
    on_start(
        RunStart(_NAME, folder, description(SETTINGS), epochs_done=read_progress(folder).epochs)
    )
    with computing(SETTINGS):
        # Before any other work: weights that do not fit are found here.
        model = task.untrained_model()
        with claimed(folder, task.fingerprint, RECORD) as finished:
            if not finished:
                write_record(folder, _make(task, model, folder, callbacks, progress))
            discard(folder)
    return read_locator(folder)


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What a locator is made from."""

    films: OutlinedFilms
    weights: str | None
    seed: int
    root: Path
    fingerprint: RunFingerprint

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        masks: Path,
        *,
        weights: str | None,
        seed: int,
        root: Path,
        progress: ProgressFactory,
    ) -> "_Task":
        films = OutlinedFilms.of(table, masks, progress=progress)
        fingerprint = RunFingerprint.of(
            films.table,
            architecture=_NAME,
            weights=weights,
            recipe=recipe_of(SETTINGS),
            seed=seed,
        )
        # Other masks make another locator.
        fingerprint = replace(fingerprint, dataset_digest=films.digest)
        return cls(films, weights, seed, root, fingerprint)

    def untrained_model(self) -> keras.Model:
        with stderr_silenced():  # as in TrainingTask.untrained_model
            keras.utils.set_random_seed(self.seed)
        return build_locator(self.weights)


def _make(
    task: _Task,
    model: keras.Model,
    folder: Path,
    callbacks: CallbackFactory,
    progress: ProgressFactory,
) -> LocatorRecord:
    """Train, snap to the grid, measure, convert and verify; all files but the record."""
    train, validation = task.films.split("train"), task.films.split("validation")
    inputs = validation.locator_inputs(root=task.root, progress=progress)
    fit_locator(
        model,
        train.films(root=task.root, cache_dir=default_cache_dir(), progress=progress),
        train.masks,
        (inputs, validation.outlines),
        settings=SETTINGS,
        seed=task.seed,
        output=folder,
        callbacks=callbacks(FitStart(folder, SETTINGS)),
    )
    snap_kernels(model)
    with replacing(folder / KERAS) as temporary:
        # Without the optimizer's state, which is two thirds of the file.
        keras.Model(model.input, model.output, name=model.name).save(temporary)
    masks = predict_output(model, inputs, "mask")[..., 0]
    margin = choose_margin(boxes_of(masks), validation)
    files, checks = {}, {}
    for format, name in MODELS.items():
        make = partial(convert_locator, model, format)
        converted = as_stage(progress, f"converting {format}", make)
        checks[name] = compare_locator(converted, format, inputs, masks, progress=progress)
        write_bytes(folder / name, converted)
        files[name] = FileEntry(hashlib.sha256(converted).hexdigest(), len(converted))
    return LocatorRecord(
        version=LOCATOR_VERSION,
        margin=margin,
        files=files,
        weights=task.fingerprint.weights,
        weights_sha256=task.fingerprint.weights_sha256,
        seed=task.seed,
        dataset_digest=task.fingerprint.dataset_digest,
        films={"train": len(train.table), "validation": len(validation.table)},
        without_mask=task.films.without_mask,
        metrics=measure(masks, validation, margin=margin),
        checks=checks,
        versions={
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in _VERSIONED},
        },
        seconds=round(float(read_history(folder, measured=DICE)["seconds"].sum()), 1),
    )
