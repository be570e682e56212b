"""The progress bar of training and one line an epoch, on standard error."""

import sys
from collections.abc import Callable
from typing import Any

import keras
import typer

from cxr_edge.console.terminal import say
from cxr_edge_train.recipe import Fit


def training_progress(fit: Fit) -> Callable[[int], list[keras.callbacks.Callback]]:
    """The progress of each fit of a run, by its number from 0."""
    return lambda number: [TrainingProgress(fit, number)]


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Draws a bar over the steps of an epoch on a terminal; elsewhere only the epoch's line."""

    def __init__(self, fit: Fit, number: int = 0) -> None:
        """Take what the recipe says of fitting, and which fit it is, counted from 0."""
        super().__init__()
        self._epochs = fit.head_epochs + fit.epochs
        self._which = ""
        if number < fit.teachers:
            self._which = f"teacher {number + 1}/{fit.teachers}, "
        elif fit.teachers:
            self._epochs = fit.epochs
            self._which = "student, "
        self._bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the bar of an epoch."""
        if sys.stderr.isatty():
            self._bar = typer.progressbar(
                length=self.params["steps"],
                label=f"{self._which}epoch {epoch + 1}/{self._epochs}",
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
        say(f"{self._which}epoch {epoch + 1}/{self._epochs}: {figures}")
