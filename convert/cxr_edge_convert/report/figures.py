"""The plots of a conversion's report."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from cxr_edge_convert.report.conversion_report import ConversionReport, VariantReport
from cxr_edge_convert.variants import DYNAMIC, FLOAT16, FLOAT32, INT8, TFLITE
from cxr_edge_train.reporting.figures import LABEL_COLOURS, NEUTRAL, new_figure
from cxr_edge_train.statistics.intervals import Interval

# Okabe and Ito's colours, which the colour-blind can tell apart.
_COLOURS = {FLOAT32: "#0072B2", FLOAT16: "#56B4E9", DYNAMIC: "#E69F00", INT8: "#D55E00"}
_NAMED = 5  # operators whose names fit into a chart


def draw_tradeoff(report: ConversionReport, cost: str) -> Figure:
    """Recall and AUC against what a variant costs, with the line of the best trade-offs.

    Args:
        report: what was made.
        cost: ``size`` or ``latency``.
    """
    figure = new_figure(9.6, 4.2)
    for axes, (name, title) in zip(
        figure.subplots(1, 2), (("sensitivity", f"recall of {report.labels[1]}"), ("auc", "AUC"))
    ):
        for variant in report.variants:
            _draw_point(axes, variant, _cost(variant, cost), name)
        # What was rejected is nobody's trade-off.
        passed = [variant for variant in report.variants if variant.passed]
        _draw_best_line(
            axes,
            [_cost(variant, cost) for variant in passed],
            [_metric(variant, name).value for variant in passed],
        )
        keras = getattr(report.keras.metrics, name).value
        axes.axhline(keras, color=NEUTRAL, linestyle=":", label="Keras")
        axes.set_xscale("log")
        # Every number of a decade would not fit beside its neighbours.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="both", labelsize="small")
        axes.set_xlabel(
            "megabytes (log scale)"
            if cost == "size"
            else "median milliseconds per image, one thread (log scale)"
        )
        axes.set_ylabel(f"{title} on validation")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def draw_shift(report: ConversionReport, predictions: pd.DataFrame) -> Figure:
    """Probability of each validation image, float against variant.

    Args:
        report: what was made.
        predictions: ``label``, ``keras`` and the logits of each variant.
    """
    names = [variant.name for variant in report.variants]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(3.4 * columns + 0.4, 3.3 * rows)
    point = report.operating_point
    threshold = point.threshold
    before = point.probabilities(predictions["keras"].to_numpy(float))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid, names):
        after = point.probabilities(predictions[name].to_numpy(float))
        for label, colour in zip(report.labels, LABEL_COLOURS):
            of_label = (predictions["label"] == label).to_numpy()
            axes.scatter(
                before[of_label], after[of_label], s=8, color=colour, alpha=0.5, label=label, lw=0
            )
        changed = (before >= threshold) != (after >= threshold)
        axes.scatter(
            before[changed], after[changed], s=40, facecolors="none", edgecolors="black", lw=0.8,
            label="prediction changed",
        )  # fmt: skip
        axes.axhline(threshold, color=NEUTRAL, lw=0.8, linestyle=":")
        axes.axvline(threshold, color=NEUTRAL, lw=0.8, linestyle=":")
        axes.plot([0, 1], [0, 1], color=NEUTRAL, lw=0.8)
        axes.set_title(name, fontsize="medium")
        axes.set_aspect("equal")
    figure.supxlabel(f"probability of {report.labels[1]} in Keras")
    figure.supylabel("in the variant")
    grid[0].legend(loc="upper left", fontsize="x-small")
    return figure


def draw_tensor_errors(variants: Sequence[VariantReport]) -> Figure:
    """Error of each operator's output, in the order in which they run, the largest ones named.

    Args:
        variants: of the report, those that have ``tensor_errors``.
    """
    figure = new_figure(9.6, 2.6 * len(variants) + 0.6)
    for axes, variant in zip(figure.subplots(len(variants), 1, squeeze=False)[:, 0], variants):
        errors = variant.tensor_errors
        shares = np.array([error.error for error in errors])
        added = np.array([error.added for error in errors])
        worst = np.argsort(-added, kind="stable")[:_NAMED].tolist()
        colours = [_COLOURS[INT8] if index in worst else NEUTRAL for index in range(len(errors))]
        axes.bar(range(len(errors)), shares, color=colours)
        for rank, index in enumerate(worst, 1):
            axes.annotate(
                str(rank), (index, shares[index]), fontsize="x-small", ha="center",
                xytext=(0, 2), textcoords="offset points",
            )  # fmt: skip
            name = short_name(errors[index].operator, errors[index].kind)
            axes.plot([], [], " ", label=f"{rank} {name}")
        axes.legend(
            title="adds most error", fontsize="small", title_fontsize="small", handlelength=0,
            handletextpad=0,
        )  # fmt: skip
        axes.set_ylim(0, max(0.01, float(shares.max()) * 1.15))
        axes.set_title(variant.name, fontsize="medium", loc="left")
        axes.set_ylabel("error / variance")
    axes.set_xlabel("operators in the order in which they run")
    return figure


def short_name(operator: str, kind: str) -> str:
    """The layer that an operator's long name begins with."""
    path = operator.split(";")[0].split("/")
    if len(path) > 1:
        return re.sub(r"_\d+$", "", path[-2])
    return re.sub(r"^\d+_", "", operator).removesuffix(f"_{kind}")


def best_tradeoffs(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Indices of the points that no other one beats: none is cheaper and at least as good."""
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -values[index]))
    best: list[int] = []
    for index in order:
        if not best or values[index] > values[best[-1]]:
            best.append(index)
    return best


def _draw_point(axes: Axes, variant: VariantReport, cost: float, metric: str) -> None:
    """A variant's metric with its interval; the marker tells the format, hollow a rejected one."""
    found = _metric(variant, metric)
    value, colour, passed = found.value, _COLOURS[variant.quantization], variant.passed
    # Where both formats cost and compute the same, the circle lies on the square and shows it.
    circle = variant.format == TFLITE
    axes.errorbar(
        cost, value, yerr=[[value - found.low], [found.high - value]], color=colour,
        marker="o" if circle else "s", markersize=6 if circle else 10, zorder=3 if circle else 2,
        markerfacecolor=colour if passed else "white",
        markeredgecolor="white" if circle and passed else colour,
        capsize=3, lw=1, ls="none", label=variant.name + ("" if passed else " (rejected)"),
    )  # fmt: skip


def _draw_best_line(axes: Axes, costs: Sequence[float], values: Sequence[float]) -> None:
    line = best_tradeoffs(costs, values)
    axes.plot(
        [costs[index] for index in line], [values[index] for index in line], color=NEUTRAL, lw=1,
        zorder=0, label="best trade-offs",
    )  # fmt: skip


def _metric(variant: VariantReport, name: str) -> Interval:
    found: Interval = getattr(variant.verification.metrics, name)
    return found


def _cost(variant: VariantReport, cost: str) -> float:
    return variant.bytes / 1e6 if cost == "size" else variant.timings[0].p50_ms
