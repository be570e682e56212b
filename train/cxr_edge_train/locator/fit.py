"""Fit the locator; a killed fit is resumed."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.preprocess import LOCATOR_SIDE
from cxr_edge_train.backend.devices import check_batch
from cxr_edge_train.backend.keras_models import predict_output
from cxr_edge_train.fitting.epochs import run_epochs
from cxr_edge_train.fitting.optimizers import compile_for, fine_tuning_optimizer
from cxr_edge_train.fitting.snapshots import Snapshot, read_progress, restore, tidy
from cxr_edge_train.locator.batches import ViewBatches
from cxr_edge_train.locator.network import ALPHA
from cxr_edge_train.locator.overlap import dice, loss_on_mask
from cxr_edge_train.locator.views import LOOKS
from cxr_edge_train.recipe import Fit, Model, Recipe

# Views differ so much from epoch to epoch that ten epochs do not overfit: the last is kept, and
# nothing is chosen on validation but the margin.
SETTINGS = Fit(
    head_epochs=0,
    epochs=10,
    learning_rate=1e-3,
    warmup_epochs=0.8,
    weight_decay=1e-4,
    weight_average=0.99,
    keep="last",
    precision="float32",
)
DICE = "val_dice"
_ADVICE = "train with another seed into another folder"
# A cell is lung where at least this share of it is.
_LUNG = 0.5


def recipe_of(settings: Fit) -> Recipe:
    """All that the weights depend on beside films, masks and seed."""
    return Recipe(Model(image_size=LOCATOR_SIDE, alpha=ALPHA), LOOKS, settings)


def fit_locator(
    model: keras.Model,
    films: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    validation: tuple[NDArray[np.uint8], NDArray[np.float32]],
    *,
    settings: Fit,
    seed: int,
    output: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Fit a locator to views of films and masks, or go on with a fit that was killed.

    Args:
        model: from :func:`cxr_edge_train.locator.network.build_locator`; afterwards it has the
            moving average of its weights over the last steps.
        films: ``[N, 224, 224] uint8``.
        masks: ``[N, 224, 224] uint8``, 255 where a film shows lung.
        validation: the locator's input ``[M, 128, 128, 1] uint8``, and for each cell of its output
            the share that is lung, ``[M, 32, 32] float32``.
        settings: batches, epochs and optimizer; other keys do not count.
        seed: seed of order and views.
        output: folder of the fit; as in :func:`cxr_edge_train.fitting.fit.fit`.
        callbacks: additional Keras callbacks, such as a progress bar.

    Raises:
        RunError: the loss was no longer a number, or what an earlier process left is damaged.
        InvalidRequest: several devices cannot share a batch evenly.
        OSError: the disk is full; the previous snapshot stays.
    """
    check_batch(min(settings.batch_size, len(films)))
    tidy(output, [DICE])
    batches = ViewBatches(films, masks, batch_size=settings.batch_size, seed=seed)
    optimizer = fine_tuning_optimizer(settings, steps_per_epoch=len(batches))
    compile_for(model, optimizer, {"mask": loss_on_mask})
    averaging = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    if read_progress(output).epochs < settings.epochs:
        try:
            run_epochs(
                model,
                batches,
                output=output,
                last_epoch=settings.epochs,
                measuring=[averaging, _ValidationDice(*validation)],
                callbacks=[*callbacks, Snapshot(output, first_epoch=0, averaging=averaging)],
                advice=_ADVICE,
            )
        except OSError:
            tidy(output, [DICE])
            raise
    restore(output, model)


class _ValidationDice(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds the mean Dice of validation films to the log of an epoch."""

    def __init__(self, inputs: NDArray[np.uint8], outlines: NDArray[np.float32]) -> None:
        super().__init__()
        self._inputs, self._outlines = inputs, outlines

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            masks = predict_output(self.model, self._inputs, "mask")[..., 0]
            logs[DICE] = mean_dice(masks, self._outlines)


def mean_dice(masks: NDArray[np.float32], outlines: NDArray[np.float32]) -> float:
    """The mean Dice of logits ``[N, 32, 32]`` against the shares of cells that are lung."""
    return float(dice(masks > 0, outlines >= _LUNG).mean())
