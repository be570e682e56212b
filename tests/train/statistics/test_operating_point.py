import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.statistics.operating_point import (
    fit_operating_point,
    threshold_for_sensitivity,
    threshold_for_specificity,
)
from cxr_edge_train.statistics.platt_scaling import fit_platt, probabilities

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=4, max_size=60).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


def columns(pairs: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([value for value, _ in pairs]), np.array([label for _, label in pairs])


def reached(values: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[float, float]:
    """Sensitivity and specificity at a threshold."""
    called = values >= threshold
    return float(called[labels == 1].mean()), float((~called)[labels == 0].mean())


@given(PAIRS, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_no_other_threshold_with_the_sensitivity_has_a_higher_specificity(
    pairs: list[tuple[float, int]], floor: float
) -> None:
    values, labels = columns(pairs)
    threshold = threshold_for_sensitivity(values, labels, min_sensitivity=floor)
    sensitivity, specificity = reached(values, labels, threshold)
    assert sensitivity >= floor
    others = [reached(values, labels, other) for other in values]
    assert np.isclose(specificity, max(there for shown, there in others if shown >= floor))


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.1, float("nan")])
def test_sensitivity_floor_out_of_range_is_refused(floor: float) -> None:
    with pytest.raises(InvalidRequest, match="the sensitivity floor must lie within 0 to 1"):
        threshold_for_sensitivity(np.array([0.1, 0.9]), np.array([0, 1]), min_sensitivity=floor)


def test_threshold_lies_midway_so_that_rounding_changes_no_decision() -> None:
    values, labels = np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1])
    assert threshold_for_sensitivity(values, labels) == 0.4
    assert threshold_for_specificity(values, labels) == 0.4


@given(PAIRS, st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_no_other_threshold_with_the_specificity_has_a_higher_recall(
    pairs: list[tuple[float, int]], floor: float
) -> None:
    values, labels = columns(pairs)
    threshold = threshold_for_specificity(values, labels, min_specificity=floor)
    sensitivity, specificity = reached(values, labels, threshold)
    assert specificity >= floor - 1e-9
    others = [reached(values, labels, other) for other in [*values, 2.0]]
    best = max(shown for shown, there in others if there >= floor)
    assert sensitivity == pytest.approx(best)
    assert specificity == pytest.approx(max(there for shown, there in others if shown >= best))


def test_perfect_model_is_not_given_false_alarms_up_to_the_floor() -> None:
    values = np.linspace(0, 1, 40)
    labels = (values > 0.5).astype(int)
    threshold = threshold_for_specificity(values, labels, min_specificity=0.9)
    assert reached(values, labels, threshold) == (1.0, 1.0)


def test_model_that_always_says_pneumonia_has_no_recall_at_a_floor() -> None:
    values, labels = np.full(20, 0.9), np.array([0, 1] * 10)
    threshold = threshold_for_specificity(values, labels, min_specificity=0.9)
    assert threshold > 1
    assert reached(values, labels, threshold) == (0.0, 1.0)


@pytest.mark.parametrize("floor", [0.0, 1.1])
def test_specificity_floor_out_of_range_is_refused(floor: float) -> None:
    with pytest.raises(InvalidRequest, match="the specificity floor must lie within 0 to 1"):
        threshold_for_specificity(np.array([0.1, 0.9]), np.array([0, 1]), min_specificity=floor)


def test_threshold_is_chosen_on_the_fitted_probabilities() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(200) % 2
    logits = random.normal(3 * (2 * labels - 1), 3, 200)
    point = fit_operating_point(logits, labels, min_sensitivity=0.9)
    assert (point.temperature, point.bias) == fit_platt(logits, labels)
    scaled = probabilities(logits, temperature=point.temperature, bias=point.bias)
    assert point.threshold == threshold_for_sensitivity(scaled, labels, min_sensitivity=0.9)
    np.testing.assert_array_equal(point.probabilities(logits), scaled)
    assert point.rule == "highest specificity with sensitivity at least 0.9"
    assert point.chosen_on == "validation"
