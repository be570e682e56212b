import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.evaluation.metrics import Confusion, count_decisions, evaluate
from cxr_edge_train.statistics import intervals

TABLE = pd.DataFrame(
    {
        "path": [f"{number}.png" for number in range(6)],
        "label": ["NORMAL"] * 2 + ["PNEUMONIA"] * 4,
        "patient": ["a", "b", "c", "d", "", ""],
    }
)


def test_figures_of_a_small_example_by_hand() -> None:
    metrics = evaluate(np.array([0.1, 0.6, 0.2, 0.7, 0.8, 0.9]), TABLE, threshold=0.5)
    assert metrics.sensitivity.value == 3 / 4
    assert metrics.specificity.value == 1 / 2
    assert metrics.accuracy.value == 4 / 6
    assert metrics.auc.value == 7 / 8
    assert metrics.precision is not None
    assert metrics.precision.value == 3 / 4
    assert metrics.f1.value == 3 / 4
    assert metrics.average_precision.value == pytest.approx((1 + 1 + 1 + 4 / 5) / 4)
    assert metrics.brier.value == pytest.approx((0.01 + 0.36 + 0.64 + 0.09 + 0.04 + 0.01) / 6)
    # Each image is alone in its bin.
    distances = 0.1 + 0.6 + 0.8 + 0.3 + 0.2 + 0.1
    assert metrics.expected_calibration_error.value == pytest.approx(distances / 6)
    assert (metrics.sensitivity.n, metrics.specificity.n, metrics.auc.n) == (4, 2, 6)


def test_probability_at_the_threshold_is_pneumonia() -> None:
    metrics = evaluate(np.full(6, 0.5), TABLE, threshold=0.5)
    assert (metrics.sensitivity.value, metrics.specificity.value) == (1.0, 0.0)


def test_one_label_cannot_be_measured() -> None:
    with pytest.raises(DatasetError, match="only one label"):
        evaluate(np.array([0.1, 0.2]), TABLE.iloc[:2], threshold=0.5)


def test_dict_has_value_interval_and_number() -> None:
    figures = evaluate(np.linspace(0, 1, 6), TABLE, threshold=0.5).as_dict()
    assert list(figures) == [
        "auc", "average_precision", "sensitivity", "specificity", "precision", "f1", "accuracy",
        "brier", "expected_calibration_error",
    ]  # fmt: skip
    assert set(figures["auc"]) == {"value", "low", "high", "n"}


def test_precision_of_no_positive_decision_is_left_out() -> None:
    metrics = evaluate(np.linspace(0, 0.9, 6), TABLE, threshold=0.95)
    assert metrics.precision is None
    assert "precision" not in metrics.as_dict()
    assert (metrics.f1.value, metrics.sensitivity.value) == (0.0, 0.0)


def test_bootstrap_interval_is_that_of_drawing_patients_and_scoring_their_films(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 100)
    random = np.random.default_rng(1)
    n = 60
    table = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(n)],
            "label": np.where(random.random(n) < 0.5, "PNEUMONIA", "NORMAL"),
            "patient": [f"p{i // 3}" for i in range(n)],
        }
    )
    probabilities = random.random(n).round(1)
    labels = positives(table)
    images_of = [
        np.flatnonzero(table["patient"] == patient) for patient in np.unique(table["patient"])
    ]
    draw = np.random.default_rng(0)
    scores = []
    while len(scores) < 100:
        drawn = np.concatenate(
            [images_of[i] for i in draw.integers(len(images_of), size=len(images_of))]
        )
        if len(set(labels[drawn])) == 2:
            scores.append(
                (
                    roc_auc_score(labels[drawn], probabilities[drawn]),
                    average_precision_score(labels[drawn], probabilities[drawn]),
                    f1_score(labels[drawn], probabilities[drawn] >= 0.5),
                    brier_score_loss(labels[drawn], probabilities[drawn]),
                )
            )
    low, high = np.quantile(scores, [0.025, 0.975], axis=0)
    metrics = evaluate(probabilities, table, threshold=0.5)
    figures = (metrics.auc, metrics.average_precision, metrics.f1, metrics.brier)
    assert [figure.low for figure in figures] == pytest.approx(low)
    assert [figure.high for figure in figures] == pytest.approx(high)


def test_decisions_are_counted_by_label() -> None:
    confusion = count_decisions(
        np.array([0.1, 0.6, 0.2, 0.7]), np.array([0, 0, 1, 1]), threshold=0.5
    )
    assert confusion == Confusion(tn=1, fp=1, fn=1, tp=1)
    assert (confusion.correct, confusion.n) == (2, 4)
