"""The plots of the ROC curve, the precision-recall curve and the reliability."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.evaluation.metrics import Metrics
from cxr_edge_train.evaluation.reliability import BINS, reliability_bins
from cxr_edge_train.reporting.figures import NEUTRAL, POSITIVE_COLOUR, new_figure
from cxr_edge_train.statistics.intervals import wilson_interval

_SQUARE = (5.2, 5.2)
_CURVE = POSITIVE_COLOUR
_GUESSING: dict[str, Any] = {"color": NEUTRAL, "linestyle": "--", "linewidth": 1}
_OPERATING_POINT: dict[str, Any] = {
    "fmt": "o", "color": "black", "markersize": 5, "elinewidth": 1, "capsize": 2, "zorder": 3,
}  # fmt: skip


def draw_roc(predictions: pd.DataFrame, metrics: Metrics, *, threshold: float) -> Figure:
    """Draw sensitivity over false positive rate, with the operating point and its intervals.

    Args:
        predictions: rows with ``label`` and ``probability``.
        metrics: the metrics of the same predictions.
        threshold: the threshold of the operating point.
    """
    false_positive_rate, sensitivity, _ = roc_curve(
        positives(predictions), predictions["probability"]
    )
    figure, axes = _square(f"ROC, {metrics.auc.n:,} images", "1 − specificity", "sensitivity")
    axes.plot([0, 1], [0, 1], label="guessing", **_GUESSING)
    axes.plot(false_positive_rate, sensitivity, color=_CURVE, label=f"AUC {metrics.auc}")
    at, reached = metrics.specificity, metrics.sensitivity
    axes.errorbar(
        [1 - at.value],
        [reached.value],
        xerr=[[at.high - at.value], [at.value - at.low]],
        yerr=[[reached.value - reached.low], [reached.high - reached.value]],
        label=f"threshold {threshold:.3f}: sensitivity {reached.value:.3f},\n"
        f"specificity {at.value:.3f} (bars: 95% intervals)",
        **_OPERATING_POINT,
    )
    axes.legend(loc="lower right", frameon=False)
    return figure


def draw_precision_recall(
    predictions: pd.DataFrame, metrics: Metrics, *, threshold: float
) -> Figure:
    """Draw precision over sensitivity, with the operating point if anything is called positive.

    Args:
        predictions: rows with ``label`` and ``probability``.
        metrics: the metrics of the same predictions.
        threshold: the threshold of the operating point.
    """
    labels, finding = positives(predictions), class_names(predictions).positive
    precision, sensitivity, _ = precision_recall_curve(labels, predictions["probability"])
    figure, axes = _square(
        f"Precision and recall, {metrics.auc.n:,} images", "recall (sensitivity)", "precision"
    )
    share = float(labels.mean())
    axes.plot([0, 1], [share, share], label=f"chance: {share:.3f} are {finding}", **_GUESSING)
    # A step to the left of each point, as average precision adds them up.
    axes.step(
        sensitivity,
        precision,
        where="post",
        color=_CURVE,
        label=f"average precision {metrics.average_precision}",
    )
    at, reached = metrics.sensitivity, metrics.precision
    if reached is not None:
        axes.errorbar(
            [at.value],
            [reached.value],
            xerr=[[at.value - at.low], [at.high - at.value]],
            yerr=[[reached.value - reached.low], [reached.high - reached.value]],
            label=f"threshold {threshold:.3f}: recall {at.value:.3f},\n"
            f"precision {reached.value:.3f} (bars: 95% intervals)",
            **_OPERATING_POINT,
        )
    axes.legend(loc="lower left", frameon=False)
    return figure


def draw_reliability(predictions: pd.DataFrame, metrics: Metrics) -> Figure:
    """Observed share of the positive label over its mean probability, and how many images say so.

    Args:
        predictions: rows with ``label`` and ``probability``.
        metrics: of the same predictions.
    """
    bins = reliability_bins(predictions["probability"].to_numpy(float), positives(predictions))
    finding = class_names(predictions).positive
    shares = [wilson_interval(each.positives, each.n) for each in bins]
    figure = new_figure(5.2, 6.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], label="perfect calibration", **_GUESSING)
    upper.errorbar(
        [each.mean_probability for each in bins],
        [share.value for share in shares],
        yerr=[
            [share.value - share.low for share in shares],
            [share.high - share.value for share in shares],
        ],
        color=_CURVE,
        fmt="o",
        markersize=5,
        elinewidth=1,
        capsize=2,
        label="observed (bars: 95% intervals)",
    )
    upper.set(
        title=f"Reliability, {metrics.brier.n:,} images: expected calibration error\n"
        f"{metrics.expected_calibration_error}, Brier score {metrics.brier}",
        ylabel=f"share of {finding}",
        ylim=(-0.03, 1.03),
    )
    upper.title.set_fontsize("medium")
    figure.legend(loc="outside lower center", frameon=False)
    lower.bar(
        [each.low for each in bins],
        [each.n for each in bins],
        width=1 / BINS,
        align="edge",
        color=NEUTRAL,
        edgecolor="white",
    )
    lower.set(xlabel=f"probability of {finding}", ylabel="images", yscale="log", xlim=(-0.03, 1.03))
    lower.set_ylim(bottom=0.8)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _square(title: str, xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = new_figure(*_SQUARE)
    axes = figure.subplots()
    axes.set(
        title=title,
        xlabel=xlabel,
        ylabel=ylabel,
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
        xticks=np.linspace(0, 1, 6),
        yticks=np.linspace(0, 1, 6),
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
