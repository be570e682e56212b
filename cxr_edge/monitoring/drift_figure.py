"""Two distributions beside each other, as a person sees that they differ."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cxr_edge.monitoring.drift import Drift, Shift
from cxr_edge_runtime.bundle.reference import PredictionDistribution
from cxr_edge_train.reporting.figures import NEUTRAL, new_figure

_PREDICTIONS = "#0072B2"
_BARS = 20


def draw_drift(
    reference: PredictionDistribution,
    predictions: PredictionDistribution,
    drift: Drift,
    *,
    against: str,
    threshold: float,
    rejected_from: float | None,
) -> Figure:
    """Histograms of the probability and of the gate distance, the reference in grey.

    Args:
        reference: what the predictions are compared with.
        predictions: those of a log.
        drift: from :func:`cxr_edge.monitoring.drift.find_drift`, with shifts.
        against: what the legend calls the reference.
        threshold: of the bundle's decision.
        rejected_from: the gate's limit on the distance, None for a bundle without a gate.
    """
    figure = new_figure(9.0, 4.2)
    left, right = figure.subplots(1, 2)
    assert drift.probability is not None
    names = (
        f"{against} ({reference.answered:,} films)",
        f"the log ({predictions.answered:,} films)",
    )
    _histograms(
        left,
        reference.probabilities,
        predictions.probabilities,
        np.linspace(0, 1, _BARS + 1),
        names,
    )
    _describe(left, "probability", drift.probability, ("threshold", threshold))
    if drift.distance is None or rejected_from is None:
        right.set_axis_off()
        right.text(0.5, 0.5, "no gate distances", ha="center", color=NEUTRAL)
    else:
        # The limit belongs into the picture: films near it are soon rejected.
        most = max(reference.distances[-1], predictions.distances[-1], rejected_from) * 1.02
        least = min(reference.distances[0], predictions.distances[0]) * 0.98
        edges = np.linspace(least, most, _BARS + 1)
        _histograms(right, reference.distances, predictions.distances, edges, names)
        _describe(right, "gate distance", drift.distance, ("rejected beyond", rejected_from))
    figure.suptitle(
        f"rejected: {drift.rejected:.1%} of the log's films, "
        f"{drift.reference_rejected:.1%} of the reference",
        fontsize="medium",
    )
    return figure


def _histograms(
    axes: Axes,
    reference: NDArray[np.float32],
    predictions: NDArray[np.float32],
    edges: NDArray[np.float64],
    names: tuple[str, str],
) -> None:
    def shares(values: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.histogram(values, edges)[0] / len(values)

    axes.stairs(shares(reference), edges, label=names[0], color=NEUTRAL, alpha=0.35, fill=True)
    axes.stairs(shares(predictions), edges, label=names[1], color=_PREDICTIONS, linewidth=1.8)


def _describe(axes: Axes, name: str, shift: Shift, mark: tuple[str, float]) -> None:
    axes.axvline(mark[1], color=NEUTRAL, linestyle=":", label=f"{mark[0]} {mark[1]:.2f}")
    axes.set_title(f"{name}: PSI {shift.psi:.3f}, KS {shift.ks:.3f}")
    axes.set_xlabel(name)
    axes.set_ylabel("share of the films")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.35)  # room for the legend
    axes.legend(loc="upper center", fontsize="small")
