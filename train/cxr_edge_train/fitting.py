"""Fit a model: the head first, then everything, keeping the best epoch."""

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.architectures.pretrained import BACKBONE
from cxr_edge_train.batches import TrainingBatches
from cxr_edge_train.recipe import Recipe

PREDICT_BATCH = 64
# The best epoch so far, in the run's folder while it is being made.
CHECKPOINT = "checkpoint.keras"


def fit(
    model: keras.Model,
    recipe: Recipe,
    train: tuple[NDArray[np.uint8], NDArray[np.integer]],
    validation: tuple[NDArray[np.uint8], NDArray[np.integer]],
    *,
    seed: int,
    output: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train the head with the backbone frozen, then the whole network.

    ``checkpoint.keras`` (best validation loss of fine-tuning) and ``history.csv`` are written to
    ``output`` while it runs.

    Args:
        model: from :func:`cxr_edge_train.architectures.build`.
        recipe: hyper-parameters.
        train: pixels ``[N, H, W, 1] uint8`` and labels ``[N]`` of 0 and 1.
        validation: the same for the validation split; never augmented.
        seed: of shuffling and augmentation.
        output: the run's folder.
        callbacks: more Keras callbacks, such as a progress bar.

    Returns:
        The model of the best epoch, with its optimizer state.

    Raises:
        RunError: no epoch of fine-tuning had a finite validation loss.
    """
    settings = recipe.fit
    batches = TrainingBatches(
        *train, recipe.augmentation, batch_size=settings.batch_size, seed=seed
    )
    held_out = (
        {"image": validation[0].astype(np.float32)},
        {"logit": validation[1][:, np.newaxis].astype(np.float32)},
    )
    history = keras.callbacks.CSVLogger(output / "history.csv", append=True)
    finite = keras.callbacks.TerminateOnNaN()
    backbone = model.get_layer(BACKBONE)

    if settings.head_epochs:
        backbone.trainable = False
        _compile(model, recipe, keras.optimizers.Adam(settings.head_learning_rate))
        model.fit(
            batches,
            validation_data=held_out,
            validation_batch_size=PREDICT_BATCH,
            epochs=settings.head_epochs,
            callbacks=[history, finite, *callbacks],
            verbose=0,
        )
    backbone.trainable = True
    schedule = _warmup_cosine(recipe, steps_per_epoch=len(batches))
    _compile(model, recipe, keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay))
    checkpoint = output / CHECKPOINT
    model.fit(
        batches,
        validation_data=held_out,
        validation_batch_size=PREDICT_BATCH,
        initial_epoch=settings.head_epochs,
        epochs=settings.head_epochs + settings.epochs,
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                checkpoint,
                monitor="val_loss",
                save_best_only=True,
                # Without it the first epoch counts as best even when its loss is NaN.
                initial_value_threshold=math.inf,
            ),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=settings.patience),
            history,
            finite,
            *callbacks,
        ],
        verbose=0,
    )
    if not checkpoint.exists():
        raise RunError(
            f"{output}: the loss was never a number; lower learning_rate in the recipe's [fit]"
        )
    best: keras.Model = keras.models.load_model(checkpoint)
    checkpoint.unlink()
    return best


def predict_logits(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits ``[N] float32`` of ``pixels [N, H, W, 1] uint8``, in batches."""
    logits = [
        np.asarray(
            model.predict_on_batch(
                {"image": pixels[start : start + PREDICT_BATCH].astype(np.float32)}
            )["logit"]
        )[:, 0]
        for start in range(0, len(pixels), PREDICT_BATCH)
    ]
    return np.concatenate(logits).astype(np.float32)


def _compile(model: keras.Model, recipe: Recipe, optimizer: keras.optimizers.Optimizer) -> None:
    model.compile(
        optimizer,
        loss={
            "logit": keras.losses.BinaryCrossentropy(
                from_logits=True, label_smoothing=recipe.fit.label_smoothing
            )
        },
        # XLA on a CPU was measured 7 times slower for these networks.
        jit_compile=False,
    )


def _warmup_cosine(
    recipe: Recipe, *, steps_per_epoch: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    settings = recipe.fit
    warmup = math.ceil(settings.warmup_epochs * steps_per_epoch)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else settings.learning_rate,
        decay_steps=max(1, settings.epochs * steps_per_epoch - warmup),
        alpha=0.01,
        warmup_target=settings.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
