"""Plots of a comparison: recall, size, ROC and learning curves of several candidates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from cxr_edge_train.comparison.choice import Candidate
from cxr_edge_train.reporting.figures import NEUTRAL, new_figure

# The colours of Okabe and Ito, in the order of the candidates; they repeat after seven.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_recall(candidates: Sequence[Candidate]) -> Figure:
    """Draw recall at the required specificity with its interval, one line per candidate."""
    figure = new_figure(height=1.2 + 0.45 * len(candidates))
    axes = figure.subplots()
    for place, candidate in enumerate(reversed(candidates)):
        recall = candidate.recall
        axes.plot([recall.low, recall.high], [place, place], color=NEUTRAL, linewidth=2)
        axes.plot(recall.value, place, "o", color=_colour(candidates, candidate), markersize=8)
    axes.set_yticks(range(len(candidates)), [c.name for c in reversed(candidates)])
    axes.set(
        xlabel=f"validation recall of {candidates[0].run.class_names.positive}",
        title="Recall at the specificity floor",
        ylim=(-0.5, len(candidates) - 0.5),
    )
    axes.grid(axis="x", alpha=0.3)
    _bare(axes)
    return figure


def draw_size(candidates: Sequence[Candidate]) -> Figure:
    """Draw validation AUC with its interval against megabytes of float32 weights."""
    figure = new_figure()
    axes = figure.subplots()
    for candidate in candidates:
        auc = candidate.metrics.auc
        axes.errorbar(
            candidate.megabytes,
            auc.value,
            yerr=[[auc.value - auc.low], [auc.high - auc.value]],
            fmt="o",
            capsize=3,
            color=_colour(candidates, candidate),
        )
        axes.annotate(
            candidate.name,
            (candidate.megabytes, auc.value),
            xytext=(7, 3),
            textcoords="offset points",
        )
    axes.margins(x=0.2)
    axes.set_xscale("log")
    axes.set_xticks([c.megabytes for c in candidates], [f"{c.megabytes:.1f}" for c in candidates])
    axes.minorticks_off()
    axes.tick_params(axis="x", labelrotation=45)
    axes.set(xlabel="float32 weights, MB", ylabel="validation AUC", title="Accuracy against size")
    axes.grid(alpha=0.3)
    _bare(axes)
    return figure


def draw_roc(candidates: Sequence[Candidate]) -> Figure:
    """Draw the ROC curves where specificity is at least 0.7, with the point of each candidate."""
    figure = new_figure()
    axes = figure.subplots()
    for candidate in candidates:
        false_positives, sensitivity, _ = roc_curve(candidate.labels, candidate.probabilities)
        colour = _colour(candidates, candidate)
        label = f"{candidate.name}, AUC {candidate.metrics.auc.value:.3f}"
        axes.step(1 - false_positives, sensitivity, where="pre", color=colour, label=label)
        axes.plot(candidate.specificity.value, candidate.recall.value, "o", color=colour)
    seen = [c.recall.value for c in candidates]
    axes.set(
        xlim=(1.0, 0.7),
        ylim=(max(0.0, min(seen) - 0.2), 1.005),
        xlabel="specificity",
        ylabel=f"sensitivity (recall of {candidates[0].run.class_names.positive})",
        title="ROC on validation",
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    _bare(axes)
    return figure


def draw_learning(candidates: Sequence[Candidate]) -> Figure:
    """Draw validation loss by epoch, with the epoch that each candidate keeps marked."""
    figure = new_figure()
    axes = figure.subplots()
    for candidate in candidates:
        epochs = candidate.history["epoch"].to_numpy() + 1
        losses = candidate.history["val_loss"].to_numpy(float)
        colour = _colour(candidates, candidate)
        axes.plot(epochs, losses, color=colour, label=candidate.name)
        for kept in np.flatnonzero(epochs - 1 == candidate.kept_epoch):
            axes.plot(epochs[kept], losses[kept], "o", color=colour)
    axes.set(xlabel="epoch", ylabel="validation loss", title="Learning", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _bare(axes)
    return figure


def _colour(candidates: Sequence[Candidate], candidate: Candidate) -> str:
    return _COLOURS[[c.name for c in candidates].index(candidate.name) % len(_COLOURS)]


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
