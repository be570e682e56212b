import numpy as np
import pytest

from cxr_edge_train.evaluation.intervals import patient_bootstrap, wilson_interval


def test_wilson_equals_the_published_example() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
    interval = wilson_interval(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    interval = wilson_interval(0, 20)
    assert (interval.low, interval.high) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_nothing_measured_is_not_a_number() -> None:
    assert np.isnan(wilson_interval(0, 0).value)


def test_bootstrap_by_patient_is_wider_when_films_of_a_patient_are_alike() -> None:
    values = np.repeat(np.random.default_rng(0).random(30), 10)

    def mean(indices: np.ndarray) -> float:
        return float(values[indices].mean())

    alike = patient_bootstrap(mean, np.repeat(np.arange(30), 10).astype(object), seed=0)
    alone = patient_bootstrap(mean, np.arange(300).astype(object), seed=0)
    assert alike.high - alike.low > 2 * (alone.high - alone.low)
    assert alike.low < alike.value < alike.high
    assert alike.value == pytest.approx(values.mean())


def test_bootstrap_is_the_same_for_the_same_seed() -> None:
    patients = np.arange(20).astype(object)
    first, second = (patient_bootstrap(lambda i: float(i.mean()), patients, seed=3) for _ in "ab")
    assert first == second
