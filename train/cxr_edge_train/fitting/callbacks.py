"""Callbacks that add values to the log of an epoch; they run before those that read it."""

import math
import time

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.evaluation.metrics import count_decisions
from cxr_edge_train.fitting.batches import Images, class_weights
from cxr_edge_train.fitting.optimizers import loss_on_logit
from cxr_edge_train.runs import EPOCH_METRICS
from cxr_edge_train.statistics.ranking import Ranking

# Training is balanced by class weights, so this is where such a network finds both labels equally
# likely. The operating point of the finished run is chosen later.
THRESHOLD = 0.5


class ValidationMetrics(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds the validation metrics of each epoch to its log; it runs before those that read it.

    All images are predicted first and measured together: a mean over batches would be another loss
    where the last batch is smaller, and there is no mean of AUCs over batches.
    """

    def __init__(self, images: Images) -> None:
        """Take the validation split.

        Args:
            images: pixels ``[N, H, W, 1] uint8`` and labels ``[N]`` of 0 and 1.
        """
        super().__init__()
        self._pixels, self._labels = images
        self._loss = loss_on_logit()
        self._weights = class_weights(self._labels)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure the epoch."""
        if logs is not None:
            logs |= self.measured(predict_logits(self.model, self._pixels))

    def measured(self, logits: NDArray[np.float32]) -> dict[str, float]:
        """The metrics by their names in ``history.csv``.

        ``val_loss`` is balanced exactly as the training loss is. ``val_accuracy``,
        ``val_sensitivity`` and ``val_specificity`` are shares of images at probability 0.5,
        ``val_auc`` is the exact area under the ROC curve; in these four every image counts alike.

        Args:
            logits: ``[N]`` of the images. Where one is no finite number, no metric is.
        """
        if not np.isfinite(logits).all():
            return dict.fromkeys(EPOCH_METRICS, math.nan)
        targets = self._labels[:, np.newaxis].astype(np.float32)
        loss = self._loss(targets, logits[:, np.newaxis], sample_weight=self._weights)
        counts = count_decisions(
            expit(logits.astype(np.float64)), self._labels, threshold=THRESHOLD
        )
        every_image_once = np.ones(len(logits), dtype=np.int64)
        values = (
            float(loss),
            counts.correct / counts.n,
            Ranking(logits, self._labels).areas(every_image_once)[0],
            counts.sensitivity.value,
            counts.specificity.value,
        )
        return dict(zip(EPOCH_METRICS, values, strict=True))


class Seconds(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds the wall time of each epoch including validation, in seconds, as ``seconds``."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the time."""
        if logs is not None:
            logs["seconds"] = round(time.monotonic() - self._started, 2)
