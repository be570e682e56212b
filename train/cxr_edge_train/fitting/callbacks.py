"""Callbacks that add values to the log of an epoch; they run before those that read it."""

import math
import time

import keras

EPOCHS_LEFT = "epochs_left"


class Seconds(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds the wall time of each epoch including validation, in seconds, as ``seconds``."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the time."""
        if logs is not None:
            logs["seconds"] = round(time.monotonic() - self._started, 2)


class EpochsLeft(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds how many epochs remain, or infinity where the validation loss is no longer a number."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the number."""
        if logs is not None:
            left = self.params["epochs"] - epoch - 1
            logs[EPOCHS_LEFT] = left if math.isfinite(logs["val_loss"]) else math.inf
