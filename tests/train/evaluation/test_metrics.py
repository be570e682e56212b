import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.evaluation.metrics import evaluate, positives

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
    assert (metrics.sensitivity.n, metrics.specificity.n, metrics.auc.n) == (4, 2, 6)


def test_probability_at_the_threshold_is_pneumonia() -> None:
    metrics = evaluate(np.full(6, 0.5), TABLE, threshold=0.5)
    assert (metrics.sensitivity.value, metrics.specificity.value) == (1.0, 0.0)


def test_one_label_cannot_be_measured() -> None:
    with pytest.raises(DatasetError, match="only one label"):
        evaluate(np.array([0.1, 0.2]), TABLE.iloc[:2], threshold=0.5)


def test_dict_has_value_interval_and_number() -> None:
    figures = evaluate(np.linspace(0, 1, 6), TABLE, threshold=0.5).as_dict()
    assert set(figures) == {"auc", "sensitivity", "specificity", "accuracy"}
    assert set(figures["auc"]) == {"value", "low", "high", "n"}


def test_positives_are_pneumonia() -> None:
    assert positives(TABLE).tolist() == [0, 0, 1, 1, 1, 1]
