"""The plots of a fit by epoch: the loss on both splits, and the metrics on validation."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxr_edge_train.recipe import Fit
from cxr_edge_train.reporting.figures import (
    NEGATIVE_COLOUR,
    NEUTRAL,
    POSITIVE_COLOUR,
    SPLIT_COLOURS,
    new_figure,
)
from cxr_edge_train.statistics.kept_epoch import kept_epoch

_METRICS = {
    "val_auc": ("AUC", "black"),
    "val_sensitivity": ("sensitivity", POSITIVE_COLOUR),
    "val_specificity": ("specificity", NEGATIVE_COLOUR),
    "val_accuracy": ("accuracy", SPLIT_COLOURS["validation"]),
}


def draw_learning_curves(history: pd.DataFrame, settings: Fit) -> Figure:
    """Draw both losses, below them the validation metrics, and the epoch that was kept.

    Args:
        history: ``history.csv``, rows with ``epoch`` from 0, ``loss`` and ``val_loss``. Where it
            has no other metrics, as in runs of before version 0.2, only the losses are drawn.
        settings: the section ``[fit]`` of the run's recipe.
    """
    measured = "val_auc" in history
    figure = new_figure(height=7.0 if measured else 4.5)
    panels = list(figure.subplots(2 if measured else 1, sharex=True, squeeze=False)[:, 0])
    epochs = history["epoch"] + 1
    _draw_losses(panels[0], epochs, history)
    if measured:
        for name, (label, colour) in _METRICS.items():
            panels[1].plot(epochs, history[name], color=colour, marker=".", label=label)
        panels[1].set(ylabel="validation, at probability 0.5", ylim=(None, 1.01))
    kept, head_epochs = kept_epoch(history, settings), settings.head_epochs
    for axes in panels:
        if head_epochs:
            axes.axvline(head_epochs + 0.5, color=NEUTRAL, linestyle=":", linewidth=1)
        if kept is not None:
            axes.axvline(
                kept + 1, color="black", linewidth=0.8, alpha=0.6, label=f"kept: epoch {kept + 1}"
            )
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    if head_epochs:
        panels[0].annotate(
            " all layers from here",
            (head_epochs + 0.5, 1),
            xycoords=("data", "axes fraction"),
            va="top",
            color=NEUTRAL,
        )
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _draw_losses(axes: Axes, epochs: pd.Series, history: pd.DataFrame) -> None:
    # What an earlier version wrote as the validation loss was not weighted.
    balanced = "loss, both labels weighted equally" if "val_auc" in history else "loss"
    for column, split, note in (
        ("loss", "train", " (augmented)"),
        ("val_loss", "validation", ""),
    ):
        axes.plot(
            epochs, history[column], color=SPLIT_COLOURS[split], marker=".", label=f"{split}{note}"
        )
    axes.set(title="Learning curves", ylabel=balanced)
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
