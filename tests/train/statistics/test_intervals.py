import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_train.statistics.intervals import (
    patient_bootstrap,
    wilson_interval,
    wilson_interval_of_share,
)


def test_wilson_equals_the_published_example() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
    interval = wilson_interval(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    interval = wilson_interval(0, 20)
    assert (interval.low, interval.high) == pytest.approx((0.0, 0.1611), abs=1e-4)


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (20, 20), (81, 263)])
def test_interval_of_a_share_is_that_of_the_count(successes: int, n: int) -> None:
    counted, shared = wilson_interval(successes, n), wilson_interval_of_share(successes / n, n)
    assert (shared.low, shared.high) == pytest.approx((counted.low, counted.high), abs=1e-9)
    assert shared.n == n


def test_nothing_measured_is_not_a_number() -> None:
    assert np.isnan(wilson_interval(0, 0).value)


def test_bootstrap_by_patient_is_wider_when_films_of_a_patient_are_alike() -> None:
    values = np.repeat(np.random.default_rng(0).random(30), 10)

    def mean(weights: np.ndarray) -> dict[str, float]:
        return {"mean": float(np.average(values, weights=weights))}

    alike = patient_bootstrap(mean, np.repeat(np.arange(30), 10).astype(object), seed=0)["mean"]
    alone = patient_bootstrap(mean, np.arange(300).astype(object), seed=0)["mean"]
    assert alike.high - alike.low > 2 * (alone.high - alone.low)
    assert alike.low < alike.value < alike.high
    assert alike.value == pytest.approx(values.mean())


def test_bootstrap_is_the_same_for_the_same_seed() -> None:
    patients = np.arange(20).astype(object)

    def first_half(weights: np.ndarray) -> dict[str, float]:
        return {"share": float(weights[:10].sum() / weights.sum())}

    first, second = (patient_bootstrap(first_half, patients, seed=3) for _ in "ab")
    assert first == second


def test_all_films_of_a_drawn_patient_count_as_often() -> None:
    def same(weights: np.ndarray) -> dict[str, float]:
        assert weights.sum() in range(0, 13, 2)
        assert weights[0] == weights[3]
        return {"a": float(weights[0])}

    patients = np.array(["x", "y", "z", "x", "y", "z"], dtype=object)
    assert patient_bootstrap(same, patients, seed=0)["a"].n == 6


def test_draw_without_an_answer_is_drawn_again() -> None:
    def one_label_missing(weights: np.ndarray) -> dict[str, float]:
        return {"auc": 1.0 if weights[0] and weights[1] else float("nan"), "f1": 0.5}

    figures = patient_bootstrap(one_label_missing, np.array(["a", "b"], dtype=object), seed=0)
    assert (figures["auc"].low, figures["auc"].high) == (1.0, 1.0)


def test_interval_holds_the_value_that_skewed_samples_leave_out() -> None:
    def statistics(weights: NDArray[np.int64]) -> dict[str, float]:
        drawn_whole = bool((weights == 1).all())  # by chance once in billions of samples
        return {"low": 0.0 if drawn_whole else 0.5, "high": 1.0 if drawn_whole else 0.5}

    patients = np.array([str(number) for number in range(30)], dtype=object)
    found = patient_bootstrap(statistics, patients, seed=0)
    assert (found["low"].low, found["low"].high) == (0.0, 0.5)
    assert (found["high"].low, found["high"].high) == (0.5, 1.0)
