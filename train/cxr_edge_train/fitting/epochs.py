"""Running epochs, each of them measured and logged; a loss that is no number ends them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import keras

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.fitting.callbacks import Seconds
from cxr_edge_train.fitting.snapshots import read_progress
from cxr_edge_train.runs import HISTORY


class EpochBatches(Protocol):
    """Batches that are told which epoch begins and when no other will, as this project's are."""

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of an epoch, counted from 0."""
        ...

    def close(self) -> None:
        """End the threads: Keras keeps the batches, and with them the threads, after the fit."""
        ...


def run_epochs(
    model: keras.Model,
    batches: EpochBatches,
    *,
    output: Path,
    last_epoch: int,
    measuring: Sequence[keras.callbacks.Callback],
    callbacks: Sequence[keras.callbacks.Callback],
    advice: str,
) -> None:
    """Fit a model up to an epoch, from where the snapshot in the folder ends.

    Args:
        model: compiled.
        batches: a ``keras.utils.PyDataset``; it is closed in the end.
        output: folder of the fit; a row is added to its ``history.csv`` after each epoch.
        last_epoch: number of epochs in all.
        measuring: callbacks that add to the log of an epoch.
        callbacks: those that read it; the snapshot is the last of them.
        advice: what to do where the loss is no longer a number, for the message.

    Raises:
        RunError: the loss was no longer a number.
    """
    first_epoch = read_progress(output).epochs
    logger = keras.callbacks.CSVLogger(output / HISTORY, append=True)
    try:
        history = model.fit(
            batches,
            initial_epoch=first_epoch,
            epochs=last_epoch,
            # The batches shuffle by themselves; Keras would draw from a state that no restart has.
            shuffle=False,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: batches.begin_epoch(epoch)
                ),
                *measuring,
                Seconds(),
                logger,
                keras.callbacks.TerminateOnNaN(),
                *callbacks,
            ],
            verbose=0,
        ).history
    finally:
        batches.close()
        if logger.csv_file is not None:  # Keras closes it only when all goes well
            logger.csv_file.close()
    if not math.isfinite(history["loss"][-1]):
        epoch = first_epoch + len(history["loss"])
        best = read_progress(output).best_file(output)
        kept = f". The best model before that is {best}" if best else ""
        raise RunError(
            f"{output}: the loss became infinite or NaN in epoch {epoch}; {advice}{kept}"
        )
