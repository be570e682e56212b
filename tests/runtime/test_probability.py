import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_edge_runtime.probability import at_prevalence, sigmoid

PREVALENCES = st.floats(0.0001, 0.9999)


@given(st.floats(-1e6, 1e6))
def test_sigmoid_stays_between_0_and_1_and_is_symmetric(value: float) -> None:
    assert 0 <= sigmoid(value) <= 1
    assert sigmoid(value) + sigmoid(-value) == pytest.approx(1)


@given(PREVALENCES, PREVALENCES)
def test_an_image_that_tells_nothing_has_the_prevalence_as_its_probability(
    stated: float, wanted: float
) -> None:
    assert at_prevalence(stated, stated=stated, wanted=wanted) == pytest.approx(wanted)


@given(st.floats(0, 1), st.floats(0, 1), PREVALENCES, PREVALENCES)
def test_order_of_two_probabilities_stays(
    one: float, other: float, stated: float, wanted: float
) -> None:
    moved = [at_prevalence(p, stated=stated, wanted=wanted) for p in sorted((one, other))]
    assert 0 <= moved[0] <= moved[1] * (1 + 1e-12) <= 1 + 1e-12


def test_certainty_stays_certain() -> None:
    for sure in (0.0, 1.0):
        assert at_prevalence(sure, stated=0.7, wanted=0.01) == sure


def test_odds_are_multiplied_by_the_ratio_of_the_odds_of_the_prevalences() -> None:
    moved = at_prevalence(0.8, stated=0.5, wanted=0.2)
    assert moved / (1 - moved) == pytest.approx(4 * (0.2 / 0.8))
    assert math.isclose(at_prevalence(moved, stated=0.2, wanted=0.5), 0.8)
