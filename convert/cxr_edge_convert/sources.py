"""What a conversion starts from: the model of a run, its images and its operating point."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.formats.scratch import scratch_folder
from cxr_edge_convert.verification import FloatBaseline
from cxr_edge_runtime.bundle.manifest import OUTPUTS, Training
from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.dataset.class_names import KERMANY, ClassNames
from cxr_edge_train.dataset.metadata import dataset_digest, images_root
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.dataset.pixels import load_pixels, read_unchanged
from cxr_edge_train.evaluation.run_subject import load_model
from cxr_edge_train.locator_folder import LocatorFolder, preprocessor
from cxr_edge_train.progress import ProgressFactory, as_stage
from cxr_edge_train.recipe import Calibration, recipe_of_run
from cxr_edge_train.run_locator import locator_of
from cxr_edge_train.runs import model_sha256, read_dataset, read_predictions, read_run
from cxr_edge_train.statistics.soundness import has_reversed_labels

# Kernels of another device round otherwise, by far less.
_MAX_DRIFT = 0.1


@dataclass(frozen=True, slots=True)
class Images:
    """Where the pixels of images are.

    Attributes:
        prepare: from a film to model input, as in training.
        root: the folder that paths are relative to.
        cache_dir: the folder that keeps decoded pixels.
        progress: shows how many images were read.
    """

    prepare: Preprocessor
    root: Path
    cache_dir: Path
    progress: ProgressFactory

    def pixels(self, rows: pd.DataFrame) -> NDArray[np.uint8]:
        """The pixels ``[N, H, W, 1] uint8`` of the rows; see :func:`load_pixels` for errors."""
        return load_pixels(
            rows, self.prepare, root=self.root, cache_dir=self.cache_dir, progress=self.progress
        )

    def films(self, rows: pd.DataFrame) -> Iterator[NDArray[np.uint8]]:
        """The films ``[H, W] uint8`` of the rows, whole, decoded as on a device, one at a time.

        Raises:
            DatasetError: an image is missing or changed since it was cleaned.
            ImageError: an image cannot be read or decoded.
        """
        for path, md5 in zip(rows["path"], rows["md5"]):
            yield read_unchanged(self.root / path, md5, least_side=self.prepare.least_side)


@dataclass(frozen=True, slots=True)
class Source:
    """A float model with all that its variants are made from and measured by.

    Attributes:
        name: the first part of the names of its bundles.
        model: the Keras model, which keeps the model contract.
        model_sha256: SHA-256 of its file, or of the file that it was imported from.
        keras_bytes: its size as ``.keras`` without optimizer.
        train: the rows of its training images.
        validation: the model itself on validation images, which variants are compared with.
        validation_pixels: ``[N, H, W, 1] uint8``.
        images: where pixels come from.
        training: what the manifest says of its training.
        calibration: the calibration method of its recipe.
        license: the licence of the weights, as far as it is known.
        names: the names of the two classes.
        locator: the lung locator, whose box the model is shown; None where it is the whole film.
    """

    name: str
    model: keras.Model
    model_sha256: str
    keras_bytes: int
    train: pd.DataFrame
    validation: FloatBaseline
    validation_pixels: NDArray[np.uint8]
    images: Images
    training: Training
    calibration: Calibration
    license: str
    names: ClassNames = KERMANY
    locator: LocatorFolder | None = None

    @property
    def preprocess(self) -> PreprocessSpec:
        """How films become model input."""
        return self.images.prepare.spec

    def preprocessor(self, format: str) -> Preprocessor:
        """From a film to model input as in a bundle of a format, whose locator has that format.

        Raises:
            RunError: the locator's file is missing or was changed.
            EngineError: the locator cannot be loaded.
        """
        return preprocessor(self.preprocess, self.locator, format=format)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the contract that the model has, in the contract's order."""
        return tuple(name for name in OUTPUTS if name in self.model.output)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know of its images, one sentence each."""
        return UnknownPatients.among(pd.concat([self.train, self.validation.table])).warnings


def run_source(
    folder: Path, *, root: str | Path | None, cache_dir: Path, progress: ProgressFactory
) -> Source:
    """Read a finished run, trained here or imported, and check that its model is the one measured.

    Args:
        folder: the folder of the run.
        root: the folder that the paths of its images are relative to; the one it was made with if
            None.
        cache_dir: the folder that keeps decoded pixels.
        progress: shows how far each stage has come.

    Raises:
        InvalidRequest: the labels of the model are reversed.
        RunError: the run is incomplete or damaged.
        DatasetError: an image changed since the run was made.
        EngineError: its lung locator cannot be loaded or run.
    """
    run = read_run(folder)
    table = read_dataset(folder)
    if dataset_digest(table) != run.dataset_digest:
        raise RunError(
            f"{folder}: dataset.csv changed since the run was made, so it is not what its model "
            "was measured on; make the run again"
        )
    recipe_file = folder / "recipe.toml"
    recipe = recipe_of_run(folder)
    locator = locator_of(run)
    prepare = preprocessor(run.preprocess, locator)
    images = Images(prepare, images_root(root, default=Path(run.root)), cache_dir, progress)
    validation = table[table["split"] == "validation"].reset_index(drop=True)
    recorded = read_predictions(folder, validation)
    model = as_stage(progress, "loading the model", lambda: load_model(folder))
    pixels = images.pixels(validation)
    logits = as_stage(
        progress, "running the float model", lambda: predict_logits(model, pixels)
    ).astype(np.float64)
    drift = float(np.abs(logits - recorded).max())
    if not drift < _MAX_DRIFT:
        raise RunError(
            f"{folder}: model.keras does not give the logits of predictions.csv (they differ by "
            f"{drift:.3g}), so threshold and temperature are not its own; make the run again"
        )
    validated = FloatBaseline.of(
        validation,
        logits,
        run.operating_point,
    )
    if has_reversed_labels(validated.metrics.by_name()):
        raise InvalidRequest(
            f"{folder}: the labels of its model are reversed: on validation its AUC is "
            f"{validated.metrics.auc}; import or train it again with labels in the right order"
        )
    return Source(
        name=run.architecture,
        model=model,
        model_sha256=run.imported_sha256 or model_sha256(folder),
        keras_bytes=keras_bytes(model),
        train=table[table["split"] == "train"].reset_index(drop=True),
        validation=validated,
        validation_pixels=pixels,
        images=images,
        names=run.class_names,
        training=Training(
            architecture=run.architecture,
            weights=run.weights,
            seed=run.seed,
            dataset_digest=run.dataset_digest,
            recipe=recipe_file.read_text(encoding="utf-8"),
            versions=run.versions,
        ),
        calibration=recipe.calibration,
        license="unknown" if run.imported_sha256 else "Apache-2.0",
        locator=locator,
    )


def keras_bytes(model: keras.Model) -> int:
    """The size of a model as ``.keras`` without optimizer, which no device needs."""
    with scratch_folder() as folder:
        file = folder / "model.keras"
        model.save(file)
        return file.stat().st_size
