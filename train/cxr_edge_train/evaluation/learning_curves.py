"""The plot of the loss on training and validation images by epoch."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cxr_edge_train.reporting.figures import NEUTRAL, SPLIT_COLOURS, new_figure


def draw_learning_curves(history: pd.DataFrame, *, head_epochs: int) -> Figure:
    """Draw both losses, the end of the head's training, and the lowest validation loss after it.

    Args:
        history: ``history.csv``, rows with ``epoch`` from 0, ``loss`` and ``val_loss``.
        head_epochs: number of epochs with the backbone frozen.
    """
    figure = new_figure()
    axes = figure.subplots()
    epochs = history["epoch"] + 1
    for column, split in (("loss", "train"), ("val_loss", "validation")):
        axes.plot(
            epochs,
            history[column],
            color=SPLIT_COLOURS[split],
            marker=".",
            label=f"{split}{' (augmented)' if split == 'train' else ''}",
        )
    if head_epochs:
        axes.axvline(head_epochs + 0.5, color=NEUTRAL, linestyle=":", linewidth=1)
        axes.annotate(
            " all layers from here",
            (head_epochs + 0.5, 1),
            xycoords=("data", "axes fraction"),
            va="top",
            color=NEUTRAL,
        )
    tuned = history.loc[history["epoch"] >= head_epochs, "val_loss"]
    if tuned.notna().any():
        lowest = tuned.idxmin()
        axes.plot(
            epochs[lowest],
            tuned[lowest],
            marker="o",
            markersize=9,
            markerfacecolor="none",
            color="black",
            linestyle="none",
            label=f"lowest: epoch {epochs[lowest]}, {tuned[lowest]:.3f}",
        )
    axes.set(title="Learning curves", xlabel="epoch", ylabel="loss")
    axes.margins(y=0.12)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
