"""The progress bar of training and one line an epoch, on standard error."""

import sys
from typing import Any

import keras
import typer

from cxr_edge.terminal import say


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Draws a bar over the steps of an epoch on a terminal; elsewhere only the epoch's line."""

    def __init__(self, epochs: int) -> None:
        """Take the number of epochs of both phases together."""
        super().__init__()
        self._epochs = epochs
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the bar of an epoch."""
        if sys.stderr.isatty():
            self._bar = typer.progressbar(
                length=self.params["steps"],
                label=f"epoch {epoch + 1}/{self._epochs}",
                file=sys.stderr,
            )
            self._bar.__enter__()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar on."""
        if self._bar is not None:
            self._bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Close the bar and say what the epoch gave."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
        figures = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        say(f"epoch {epoch + 1}/{self._epochs}: {figures}")
