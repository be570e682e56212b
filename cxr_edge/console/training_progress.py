"""What training shows on standard error: the run it begins, a progress bar, a line per epoch."""

import sys
from typing import Any

import keras
import typer

from cxr_edge.console.terminal import say
from cxr_edge_train.fitting.events import CallbackFactory, FitStart, RunStart


def print_start(start: RunStart) -> None:
    """Say where a run is written to and what it is computed on."""
    say(f"run: {start.folder}, on {start.devices}")
    if start.epochs_done:
        say(f"resuming after {start.epochs_done} epochs")


def print_start_of_compared(start: RunStart) -> None:
    """Say which architecture of a comparison is next."""
    if start.finished:
        say(f"{start.architecture}: trained already")
    else:
        say(f"{start.architecture}: training, run {start.folder}")


def training_callbacks(*, tensorboard: bool = False) -> CallbackFactory:
    """The progress of each fit and, if asked for, files for TensorBoard in the run's folder."""

    def callbacks(fit: FitStart) -> list[keras.callbacks.Callback]:
        progress = TrainingProgress(fit)
        if not tensorboard:
            return [progress]
        name = f"fit-{fit.number + 1}" if fit.settings.teachers else "."
        return [progress, keras.callbacks.TensorBoard(fit.folder / "tensorboard" / name)]

    return callbacks


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Draws a bar over the steps of an epoch on a terminal; elsewhere only the epoch's line."""

    def __init__(self, fit: FitStart) -> None:
        """Prepare the names of the epochs of a fit."""
        super().__init__()
        settings, number = fit.settings, fit.number
        self._epochs = settings.head_epochs + settings.epochs
        self._which = ""
        if number < settings.teachers:
            self._which = f"teacher {number + 1}/{settings.teachers}, "
        elif settings.teachers:
            self._epochs = settings.epochs
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
        """Advance the bar by one step."""
        if self._bar is not None:
            self._bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Close the bar and print the losses of the epoch."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
        losses = ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        say(f"{self._which}epoch {epoch + 1}/{self._epochs}: {losses}")
