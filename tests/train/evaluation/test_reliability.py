import numpy as np
import pytest

from cxr_edge_train.evaluation.reliability import (
    BINS,
    bin_numbers,
    expected_calibration_error,
    reliability_bins,
)


def test_bins_are_closed_below_and_the_last_one_above() -> None:
    assert bin_numbers(np.array([0.0, 0.066, 0.067, 0.999, 1.0])).tolist() == [0, 0, 1, 14, 14]


def test_empty_bins_are_not_listed() -> None:
    first, last = reliability_bins(np.array([0.01, 0.03, 0.97]), np.array([0, 1, 1]))
    assert (first.n, first.positives, first.mean_probability) == (2, 1, pytest.approx(0.02))
    assert (last.low, last.high, last.n) == (14 / BINS, 1.0, 1)


def test_error_is_the_mean_distance_weighted_by_images() -> None:
    probabilities, labels = np.array([0.01, 0.03, 0.97]), np.array([0, 1, 1])
    once = np.ones(3, dtype=np.int64)
    expected = 2 / 3 * abs(0.02 - 0.5) + 1 / 3 * abs(0.97 - 1)
    assert expected_calibration_error(probabilities, labels, once) == pytest.approx(expected)


def test_weight_counts_an_image_several_times() -> None:
    random = np.random.default_rng(0)
    probabilities, labels = random.random(50), random.integers(0, 2, 50)
    weights = random.integers(0, 4, 50)
    repeated = np.repeat(np.arange(50), weights)
    assert expected_calibration_error(probabilities, labels, weights) == pytest.approx(
        expected_calibration_error(
            probabilities[repeated], labels[repeated], np.ones(len(repeated), dtype=np.int64)
        )
    )


def test_probabilities_that_mean_what_they_say_have_a_small_error() -> None:
    random = np.random.default_rng(0)
    probabilities = random.random(100_000)
    labels = (random.random(100_000) < probabilities).astype(int)
    once = np.ones(100_000, dtype=np.int64)
    assert expected_calibration_error(probabilities, labels, once) < 0.01
    assert expected_calibration_error(probabilities**3, labels, once) > 0.1
