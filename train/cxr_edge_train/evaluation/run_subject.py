"""A run's Keras model, measured in Keras."""

from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.activation_map import activation_map
from cxr_edge_runtime.images import GreyImage
from cxr_edge_train.backend.keras_models import load_keras, predict_logits
from cxr_edge_train.evaluation.subject import Answers, ModelIdentity
from cxr_edge_train.run_locator import preprocessor_of
from cxr_edge_train.runs import model_sha256, read_dataset, read_run
from cxr_edge_train.statistics.operating_point import OperatingPoint


class RunSubject:
    """See :class:`cxr_edge_train.evaluation.subject.Subject`."""

    def __init__(self, folder: Path) -> None:
        """Load a run's model.

        Raises:
            RunError: the run is incomplete or damaged.
            EngineError: its lung locator cannot be loaded.
        """
        run = read_run(folder)
        self.identity = ModelIdentity(
            run=folder.resolve().name,
            bundle=None,
            version=None,
            bundle_sha256=None,
            model_sha256=model_sha256(folder),
            training_digest=run.dataset_digest,
        )
        self.run_folder: Path | None = None if run.imported_sha256 else folder
        self.prepare = preprocessor_of(run)
        self.operating_point = run.operating_point
        self.test_digest = run.test_digest
        self.names = run.class_names
        self.site = ""
        self.own_films: pd.DataFrame | None = read_dataset(folder)
        self._model = load_model(folder)
        self.gives_maps = "cam" in self._model.output

    def answers(self, films: Iterable[GreyImage]) -> Answers:
        """Compute logits; a run has no gate."""
        return Answers(self.logits(self.prepare(film.pixels).model_input for film in films))

    def logits(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Compute logits ``[N]`` in batches."""
        return predict_logits(self._model, np.concatenate(list(images))).astype(np.float64)

    def activation_maps(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute activation maps ``[N, h, w]`` in one batch."""
        return activation_maps(self._model, self.operating_point, images)


def load_model(folder: Path) -> keras.Model:
    """Load the model of a run, not compiled.

    Raises:
        RunError: the file is damaged.
    """
    return load_keras(folder / "model.keras", compiled=False, advice="make it again")


def activation_maps(
    model: keras.Model, point: OperatingPoint, images: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Compute activation maps ``[N, h, w]`` of a few images in one batch.

    Only a bundle knows what normal films show, so they are compared with the threshold alone.

    Args:
        model: with the output ``cam``.
        point: gives the threshold.
        images: ``[N, H, W, 1] uint8``.
    """
    outputs = model.predict_on_batch({"image": images.astype(np.float32)})
    return np.stack(
        [
            activation_map(
                cam[..., 0],
                logit=float(logit),
                threshold_logit=point.threshold_logit,
                normal=None,
            )
            for cam, logit in zip(np.asarray(outputs["cam"]), np.ravel(outputs["logit"]))
        ]
    )
