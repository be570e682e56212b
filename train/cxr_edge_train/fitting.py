"""Fit a model: the head first, then everything, keeping one epoch; a killed fit goes on."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.architectures.backbone import freeze
from cxr_edge_train.batches import Answers, TrainingBatches, ValidationBatches
from cxr_edge_train.devices import check_batch, compute_in_float32, has_accelerator
from cxr_edge_train.keras_files import load_keras
from cxr_edge_train.recipe import Recipe
from cxr_edge_train.snapshots import BEST, HISTORY, Snapshot, read_progress, tidy

PREDICT_BATCH = 64

Images = tuple[NDArray[np.uint8], NDArray[np.integer]]


def fit(
    model: keras.Model,
    recipe: Recipe,
    train: Images,
    validation: Images,
    *,
    seed: int,
    output: Path,
    drawing: NDArray[np.float64] | None = None,
    answers: Answers | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.Model:
    """Train the head with the backbone frozen, then the network from the chosen block on.

    ``output`` holds ``history.csv``, a snapshot of the last epoch and the model of the one kept so
    far while it runs. Where a snapshot lies there already, fitting goes on from it; the caller sees
    to it that model, recipe, data and seed are the same, and discards it in the end.

    Args:
        model: from :func:`cxr_edge_train.architectures.build`.
        recipe: hyper-parameters.
        train: pixels ``[N, H, W, 1] uint8`` and labels ``[N]`` of 0 and 1.
        validation: the same for the validation split; never augmented.
        seed: of shuffling and augmentation.
        output: the run's folder.
        drawing: how often each training image comes in an epoch, see
            :class:`cxr_edge_train.batches.TrainingBatches`.
        answers: what to fit to in the place of the labels, see there too.
        callbacks: more Keras callbacks, such as a progress bar.

    Returns:
        The model of the epoch that the recipe keeps, with its optimizer state, computing in
        float32.

    Raises:
        RunError: the loss was no longer a number; the best model until then stays in ``output``.
            Or what an earlier process left there is damaged.
        InvalidRequest: the recipe's ``fine_tune_from`` names no layer, or several devices cannot
            share a batch evenly.
        OSError: the disk is full; the snapshot before stays.
    """
    check_batch(min(recipe.fit.batch_size, len(train[1])))
    tidy(output)
    try:
        task = _Fit(model, recipe, train, validation, seed, output, drawing, answers, callbacks)
        if recipe.fit.head_epochs:
            task.head()
        task.fine_tune()
    except OSError:
        tidy(output)
        raise
    best = read_progress(output).best_file(output)
    if best is None:
        raise RunError(f"{output}: the validation loss was never a number; {_ADVICE}")
    chosen = load_keras(best, compiled=True, advice=f"remove {output} and train again")
    if isinstance(chosen.optimizer, keras.optimizers.LossScaleOptimizer):
        compute_in_float32(chosen)
        compile_model(chosen, chosen.optimizer.inner_optimizer, recipe)
    return chosen


def training_seconds(output: Path) -> float:
    """Seconds of all epochs of a fit, interruptions left out, from its ``history.csv``."""
    header, *rows = (output / HISTORY).read_text(encoding="utf-8").splitlines()
    column = header.split(",").index("seconds")
    return sum(float(row.split(",")[column]) for row in rows)


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


_EPOCHS_LEFT = "epochs_left"
_ADVICE = "lower learning_rate in the recipe's [fit] and train into another folder"


@dataclass(frozen=True, slots=True)
class _Fit:
    """One fit: its two phases share all of this."""

    model: keras.Model
    recipe: Recipe
    train: Images
    validation: Images
    seed: int
    output: Path
    drawing: NDArray[np.float64] | None
    answers: Answers | None
    callbacks: Sequence[keras.callbacks.Callback]

    def head(self) -> None:
        """Train what lies on the frozen backbone."""
        settings = self.recipe.fit
        freeze(self.model, before=None)
        optimizer = keras.optimizers.Adam(settings.head_learning_rate)
        compile_model(self.model, optimizer, self.recipe)
        self._run([Snapshot(self.output, first_epoch=0)], last_epoch=settings.head_epochs)

    def fine_tune(self) -> None:
        """Train the network from the chosen block on, keeping the epoch that the recipe says."""
        settings = self.recipe.fit
        freeze(self.model, before=settings.fine_tune_from)
        steps = max(1, len(self.train[1]) // settings.batch_size)
        averages = settings.weight_average > 0
        optimizer = keras.optimizers.AdamW(
            _warmup_cosine(self.recipe, steps_per_epoch=steps),
            weight_decay=settings.weight_decay,
            use_ema=averages,
            ema_momentum=settings.weight_average,
        )
        compile_model(self.model, optimizer, self.recipe)
        last = settings.keep == "last"
        checkpoint = keras.callbacks.ModelCheckpoint(
            _literal(self.output) / BEST,
            # Where the last epoch is kept, each one is better than all before.
            monitor=_EPOCHS_LEFT if last else "val_loss",
            mode="min",
            save_best_only=True,
            # Infinity at first: without it the first epoch is best even when its loss is NaN.
            initial_value_threshold=read_progress(self.output).best,
        )
        stopping = (
            None
            if last
            else keras.callbacks.EarlyStopping(monitor="val_loss", patience=settings.patience)
        )
        averaging = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if averages else None
        snapshot = Snapshot(
            self.output,
            first_epoch=settings.head_epochs,
            checkpoint=checkpoint,
            stopping=stopping,
            averaging=averaging,
        )
        # The average must be in its place when the checkpoint is written.
        countdown = _EpochsLeft() if last else None
        order = [averaging, countdown, checkpoint, stopping, snapshot]
        self._run(
            [callback for callback in order if callback is not None],
            last_epoch=settings.head_epochs + settings.epochs,
        )

    def _run(self, callbacks: Sequence[keras.callbacks.Callback], *, last_epoch: int) -> None:
        """Run those epochs of a phase that are still to be done."""
        progress = read_progress(self.output)
        if progress.stopped or progress.epochs >= last_epoch:
            return
        batches = TrainingBatches(
            *self.train,
            self.recipe.augmentation,
            batch_size=self.recipe.fit.batch_size,
            seed=self.seed,
            drawing=self.drawing,
            answers=self.answers,
        )
        logger = keras.callbacks.CSVLogger(self.output / HISTORY, append=True)
        try:
            history = self.model.fit(
                batches,
                validation_data=ValidationBatches(*self.validation, batch_size=PREDICT_BATCH),
                initial_epoch=progress.epochs,
                epochs=last_epoch,
                # The batches shuffle by themselves; Keras would draw from a state that no restart
                # has.
                shuffle=False,
                callbacks=[
                    keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, logs: batches.begin_epoch(epoch)
                    ),
                    _Seconds(),
                    logger,
                    keras.callbacks.TerminateOnNaN(),
                    *self.callbacks,
                    *callbacks,
                ],
                verbose=0,
            ).history
        finally:
            if logger.csv_file is not None:  # Keras closes it only when all goes well
                logger.csv_file.close()
        if not math.isfinite(history["loss"][-1]):
            epoch = progress.epochs + len(history["loss"])
            best = read_progress(self.output).best_file(self.output)
            kept = f". The best model until then is {best}" if best else ""
            raise RunError(
                f"{self.output}: the loss was no longer a number in epoch {epoch}; {_ADVICE}{kept}"
            )


def compile_model(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, recipe: Recipe
) -> None:
    """Compile a model for the recipe's loss on ``logit``, and build the optimizer's state."""
    loss = keras.losses.BinaryCrossentropy(
        from_logits=True, label_smoothing=recipe.fit.label_smoothing
    )
    # TensorFlow's XLA on a processor was measured 7 times slower for these networks.
    slow = keras.backend.backend() == "tensorflow" and not has_accelerator()
    model.compile(optimizer, loss={"logit": loss}, jit_compile=False if slow else "auto")
    if not model.optimizer.built:  # or there would be nothing yet to put a snapshot's state into
        model.optimizer.build(model.trainable_variables)


def _literal(folder: Path) -> Path:
    """A folder whose name survives the formatting that ModelCheckpoint puts its path through."""
    return Path(str(folder).replace("{", "{{").replace("}", "}}"))


class _Seconds(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds the wall time of each epoch, validation included, to what the others log."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs["seconds"] = round(time.monotonic() - self._started, 2)


class _EpochsLeft(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds how many epochs are still to come; infinity where validation is no longer a number."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            left = self.params["epochs"] - epoch - 1
            logs[_EPOCHS_LEFT] = left if math.isfinite(logs["val_loss"]) else math.inf


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
