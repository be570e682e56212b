from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.bundle.manifest import Interval
from cxr_edge_train.dataset.class_names import KERMANY
from cxr_edge_train.evaluation.metrics import evaluate
from cxr_edge_train.statistics.operating_point import OperatingPoint
from cxr_edge_train.statistics.soundness import has_reversed_labels, soundness_warnings

N = 40
TABLE = pd.DataFrame(
    {
        "path": [f"{n}.png" for n in range(2 * N)],
        "label": ["PNEUMONIA"] * N + ["NORMAL"] * N,
        "patient": [str(n) for n in range(2 * N)],
    }
)
GOOD = np.concatenate([np.linspace(0.4, 0.9, N), np.linspace(0.1, 0.6, N)])
POINT = OperatingPoint(1.0, 0.5, "a rule", "validation")


def metrics_of(
    probabilities: np.ndarray, threshold: float = 0.5, table: pd.DataFrame = TABLE
) -> dict[str, Interval]:
    return evaluate(probabilities, table, threshold=threshold).by_name()


def test_good_model_has_no_warning_and_right_labels() -> None:
    assert soundness_warnings(metrics_of(GOOD), POINT, KERMANY) == ()
    assert not has_reversed_labels(metrics_of(GOOD))


def test_labels_are_reversed_only_beyond_chance() -> None:
    assert has_reversed_labels(metrics_of(1 - GOOD))
    chance = np.random.default_rng(0).random(2 * N)
    assert not has_reversed_labels(metrics_of(chance))
    [warning] = soundness_warnings(metrics_of(chance), POINT, KERMANY)
    assert "includes 0.5" in warning


@pytest.mark.parametrize(("negatives", "positives"), [(1, 1), (1, 9), (2, 2), (3, 3), (9, 1)])
def test_few_images_do_not_tell_reversed_labels_from_chance(negatives: int, positives: int) -> None:
    """All their pairs are in one order, and the interval of the bootstrap is [1, 1] or [0, 0]."""
    table = TABLE.iloc[[*range(positives), *range(N, N + negatives)]]
    order = np.linspace(0.9, 0.1, len(table))
    right, reversed_ = (metrics_of(scores, table=table) for scores in (order, 1 - order))
    assert not has_reversed_labels(reversed_)
    warnings = soundness_warnings(right, POINT, KERMANY)
    assert any(warning.startswith("validation has too few images") for warning in warnings)
    assert "too few images" in soundness_warnings(reversed_, POINT, KERMANY)[0]


def test_ten_images_of_each_label_tell_reversed_labels_from_chance() -> None:
    table = TABLE.iloc[[*range(10), *range(N, N + 10)]]
    order = np.linspace(0.9, 0.1, len(table))
    assert has_reversed_labels(metrics_of(1 - order, table=table))
    assert soundness_warnings(metrics_of(order, table=table), POINT, KERMANY) == ()


@pytest.mark.parametrize(("threshold", "name"), [(0.0, "specificity"), (1.0, "sensitivity")])
def test_label_that_no_image_is_given_is_named(threshold: float, name: str) -> None:
    [warning] = soundness_warnings(metrics_of(GOOD, threshold), POINT, KERMANY)
    assert warning.startswith(f"the {name} is 0 at the threshold: none of {N} ")


@pytest.mark.parametrize("temperature", [0.05, 0.05001, 19.995, 20.0])
def test_temperature_on_its_bound_is_named(temperature: float) -> None:
    [warning] = soundness_warnings(
        metrics_of(GOOD), replace(POINT, temperature=temperature), KERMANY
    )
    assert "the temperature is at its limit" in warning
