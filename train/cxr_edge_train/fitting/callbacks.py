"""Callbacks that add to what Keras logs of an epoch; they come before those that read it."""

import math
import time

import keras

EPOCHS_LEFT = "epochs_left"


class Seconds(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds the wall time of each epoch, validation included, as ``seconds``."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the time."""
        if logs is not None:
            logs["seconds"] = round(time.monotonic() - self._started, 2)


class EpochsLeft(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Adds how many epochs are still to come; infinity where validation is no longer a number."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Add the number."""
        if logs is not None:
            left = self.params["epochs"] - epoch - 1
            logs[EPOCHS_LEFT] = left if math.isfinite(logs["val_loss"]) else math.inf
