"""What training shows: the run it begins, a progress bar, a line per epoch, and the best epochs."""

import sys
from typing import Any

import keras
import typer

from cxr_edge.console.durations import elapsed
from cxr_edge.console.terminal import say
from cxr_edge_train.fitting.events import CallbackFactory, FitStart, RunStart
from cxr_edge_train.recipe import recipe_of_run
from cxr_edge_train.runs import Run, read_history
from cxr_edge_train.statistics.kept_epoch import kept_epoch

# What the line of an epoch says, by its name in the log of Keras.
_SHOWN = {
    "loss": "loss",
    "val_loss": "val loss",
    "val_auc": "val AUC",
    "val_sensitivity": "recall",
    "val_specificity": "specificity",
    "val_accuracy": "accuracy",
    "val_dice": "val Dice",
}
# What the first step of a fit waits for, before it is done.
_COMPILING = ", compiling the network"


def print_start(start: RunStart) -> None:
    """Say where a run is written to and what it is computed on."""
    say(f"run: {start.folder}, on {start.devices}")
    if start.epochs_done:
        say(f"resuming after {start.epochs_done} epochs")


def print_start_of_compared(start: RunStart) -> None:
    """Say which candidate of a comparison is next; its folder has its name."""
    if start.finished:
        say(f"{start.folder.name}: trained already")
    else:
        say(f"{start.folder.name}: training, run {start.folder}")


def print_best_epochs(run: Run) -> None:
    """Print which epoch has the best validation accuracy, and which one the run has kept."""
    history = read_history(run.folder)
    kept = kept_epoch(history, recipe_of_run(run.folder).fit)
    row = history["val_accuracy"].idxmax()
    line = f"best validation accuracy {history.at[row, 'val_accuracy']:.2%}, epoch "
    line += str(history.at[row, "epoch"] + 1)
    if kept is not None:
        measured = history.set_index("epoch").loc[kept]
        line += (
            f"; epoch {kept + 1} is kept, with accuracy {measured['val_accuracy']:.2%} and AUC "
            f"{measured['val_auc']:.3f}"
        )
    typer.echo(f"{line} (at probability 0.5)")


def training_callbacks(*, tensorboard: bool = False) -> CallbackFactory:
    """The progress of a fit and, if asked for, files for TensorBoard in the run's folder."""

    def callbacks(fit: FitStart) -> list[keras.callbacks.Callback]:
        progress = TrainingProgress(fit)
        if not tensorboard:
            return [progress]
        return [progress, keras.callbacks.TensorBoard(fit.folder / "tensorboard")]

    return callbacks


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Draws a bar over the steps of an epoch on a terminal; elsewhere only the epoch's line."""

    def __init__(self, fit: FitStart) -> None:
        """Prepare the names of the epochs of a fit."""
        super().__init__()
        self._epochs = fit.settings.head_epochs + fit.settings.epochs
        self._bar: Any = None
        self._compiles = False

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Note that the first step waits for the network to be compiled, a minute or more."""
        self._compiles = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the bar of an epoch."""
        if sys.stderr.isatty():
            self._bar = typer.progressbar(
                length=self.params["steps"],
                label=f"{self._name(epoch)}{_COMPILING if self._compiles else ''}",
                file=sys.stderr,
            )
            self._bar.__enter__()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Advance the bar by one step."""
        self._compiles = False
        if self._bar is not None:
            self._bar.label = self._bar.label.removesuffix(_COMPILING)
            self._bar.update(1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Close the bar and print what the epoch was measured by."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
        measured = logs or {}
        parts = [f"{_SHOWN[name]} {measured[name]:.3f}" for name in _SHOWN if name in measured]
        if "seconds" in measured:
            parts.append(elapsed(measured["seconds"]))
        say("  ".join([self._name(epoch), *parts]))

    def _name(self, epoch: int) -> str:
        return f"epoch {epoch + 1} of {self._epochs}"
