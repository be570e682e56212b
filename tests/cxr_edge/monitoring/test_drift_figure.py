from dataclasses import replace
from pathlib import Path

import numpy as np

from cxr_edge.monitoring.drift import DriftLimits, find_drift
from cxr_edge.monitoring.drift_figure import draw_drift
from cxr_edge_runtime.bundle.reference import PredictionDistribution
from cxr_edge_train.reporting.figures import save_figure

RANDOM = np.random.default_rng(0)


def films(count: int) -> PredictionDistribution:
    return PredictionDistribution.of(
        RANDOM.beta(0.3, 0.3, count), RANDOM.normal(30, 5, count), np.zeros(count, np.bool_)
    )


def test_both_numbers_are_drawn_with_their_figures_and_limits(tmp_path: Path) -> None:
    before, now = films(900), films(300)
    drift = find_drift(before, now, DriftLimits())
    figure = draw_drift(
        before, now, drift, against="verification", threshold=0.25, rejected_from=51.0
    )
    left, right = figure.axes
    assert left.get_title() == (
        f"probability: PSI {drift.probability.psi:.3f}, KS {drift.probability.ks:.3f}"
    )
    words = [text.get_text() for text in left.get_legend().get_texts()]
    assert words == ["verification (900 films)", "the log (300 films)", "threshold 0.25"]
    assert "rejected beyond 51.00" in [t.get_text() for t in right.get_legend().get_texts()]
    first = save_figure(figure, tmp_path / "a.png").read_bytes()
    assert save_figure(figure, tmp_path / "b.png").read_bytes() == first


def test_model_without_a_gate_has_one_picture() -> None:
    before = replace(films(300), distances=np.empty(0, np.float32))
    drift = find_drift(before, before, DriftLimits())
    figure = draw_drift(before, before, drift, against="earlier", threshold=0.5, rejected_from=None)
    assert [text.get_text() for text in figure.axes[1].texts] == ["no gate distances"]
