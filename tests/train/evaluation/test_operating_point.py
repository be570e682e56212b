import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.evaluation.operating_point import choose_operating_point, highest_recall

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=4, max_size=60).filter(
    lambda pairs: len({label for _, label in pairs}) == 2
)


@given(PAIRS, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_no_other_threshold_with_the_sensitivity_has_a_higher_specificity(
    pairs: list[tuple[float, int]], floor: float
) -> None:
    probabilities = np.array([value for value, _ in pairs])
    labels = np.array([label for _, label in pairs])
    point = choose_operating_point(probabilities, labels, min_sensitivity=floor)

    def at(threshold: float) -> tuple[float, float]:
        called = probabilities >= threshold
        return float(called[labels == 1].mean()), float((~called)[labels == 0].mean())

    assert point.sensitivity >= floor
    best = max(
        specificity
        for threshold in probabilities
        for sensitivity, specificity in [at(threshold)]
        if sensitivity >= floor
    )
    assert np.isclose(point.specificity, best)
    assert at(point.threshold)[0] >= floor


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.1, float("nan")])
def test_floor_out_of_range_is_refused(floor: float) -> None:
    with pytest.raises(InvalidRequest, match="sensitivity floor"):
        choose_operating_point(np.array([0.1, 0.9]), np.array([0, 1]), min_sensitivity=floor)


def test_threshold_lies_midway_so_that_rounding_flips_nothing() -> None:
    point = choose_operating_point(np.array([0.1, 0.2, 0.6, 0.9]), np.array([0, 0, 1, 1]))
    assert point.threshold == 0.4
    assert (point.sensitivity, point.specificity) == (1.0, 1.0)
    assert point.rule == "highest specificity with sensitivity at least 0.95"


@given(PAIRS, st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_no_other_threshold_with_the_specificity_has_a_higher_recall(
    pairs: list[tuple[float, int]], floor: float
) -> None:
    probabilities = np.array([value for value, _ in pairs])
    labels = np.array([label for _, label in pairs])
    point = highest_recall(probabilities, labels, min_specificity=floor)

    def at(threshold: float) -> tuple[float, float]:
        called = probabilities >= threshold
        return float(called[labels == 1].mean()), float((~called)[labels == 0].mean())

    assert point.specificity >= floor - 1e-9
    assert at(point.threshold) == pytest.approx((point.sensitivity, point.specificity))
    best = max(
        (
            sensitivity
            for threshold in probabilities
            for sensitivity, specificity in [at(threshold)]
            if specificity >= floor
        ),
        default=0.0,
    )
    assert point.sensitivity == pytest.approx(best)
    assert point.specificity == pytest.approx(
        max(
            (
                specificity
                for threshold in [*probabilities, 2.0]
                for sensitivity, specificity in [at(threshold)]
                if sensitivity >= best - 1e-9
            )
        )
    )


def test_perfect_model_is_not_given_false_alarms_up_to_the_floor() -> None:
    probabilities = np.linspace(0, 1, 40)
    point = highest_recall(probabilities, (probabilities > 0.5).astype(int), min_specificity=0.9)
    assert (point.sensitivity, point.specificity) == (1.0, 1.0)


def test_model_that_always_says_pneumonia_has_no_recall_at_a_floor() -> None:
    point = highest_recall(np.full(20, 0.9), np.array([0, 1] * 10), min_specificity=0.9)
    assert point.sensitivity == 0
    assert point.threshold > 0.9


@pytest.mark.parametrize("floor", [0.0, 1.1])
def test_specificity_floor_out_of_range_is_refused(floor: float) -> None:
    with pytest.raises(InvalidRequest, match="the specificity floor must lie within 0 to 1"):
        highest_recall(np.array([0.1, 0.9]), np.array([0, 1]), min_specificity=floor)
