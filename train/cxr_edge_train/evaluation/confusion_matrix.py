"""The plot of a confusion matrix."""

import numpy as np
from matplotlib.figure import Figure

from cxr_edge_train.dataset.class_names import ClassNames
from cxr_edge_train.evaluation.metrics import Confusion
from cxr_edge_train.reporting.figures import new_figure


def draw_confusion(confusion: Confusion, names: ClassNames) -> Figure:
    """Draw the number of decisions by label, each with its share of the label's images."""
    counts = np.array([[confusion.tn, confusion.fp], [confusion.fn, confusion.tp]])
    shares = counts / counts.sum(axis=1, keepdims=True)
    figure = new_figure(4.6, 4.4)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axes.text(
            column,
            row,
            f"{count:,}\n{share:.1%}",
            ha="center",
            va="center",
            fontsize="x-large",
            color="white" if share > 0.5 else "black",
        )
    axes.set(
        title=f"{confusion.correct:,} of {confusion.n:,} correct",
        xlabel="decision",
        ylabel="label",
    )
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.tick_params(length=0)
    return figure
