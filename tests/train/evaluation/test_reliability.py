import numpy as np
import pandas as pd
import pytest

from cxr_edge_train.evaluation.metrics import evaluate
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
    expected = 2 / 3 * abs(0.02 - 0.5) + 1 / 3 * abs(0.97 - 1)
    patients = np.array(["a", "b", "c"], dtype=object)
    error = expected_calibration_error(probabilities, labels, patients, seed=0)
    assert (error.value, error.n) == (pytest.approx(expected), 3)


def test_probabilities_that_mean_what_they_say_have_a_small_error() -> None:
    random = np.random.default_rng(0)
    probabilities = random.random(10_000)
    labels = (random.random(10_000) < probabilities).astype(int)
    patients = np.arange(10_000).astype(object)
    small, large = (
        expected_calibration_error(told, labels, patients, seed=0)
        for told in (probabilities, probabilities**3)
    )
    assert small.value < 0.02
    assert large.low > 0.1


def test_interval_of_the_error_holds_the_true_one() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"path": [str(n) for n in range(300)], "patient": ""})
    held = 0
    for _ in range(40):
        probabilities = random.uniform(0.1, 0.9, 300)
        # The truth is 0.1 below what the model says, whatever it says.
        ill = random.random(300) < probabilities - 0.1
        labelled = table.assign(label=np.where(ill, "PNEUMONIA", "NORMAL"))
        error = evaluate(probabilities, labelled, threshold=0.5).expected_calibration_error
        held += error.low <= 0.1 <= error.high
    assert held >= 38


def test_interval_of_a_calibrated_model_reaches_down_to_no_error() -> None:
    random = np.random.default_rng(1)
    patients = np.arange(300).astype(object)
    lows = []
    for _ in range(40):
        probabilities = random.uniform(0.1, 0.9, 300)
        labels = (random.random(300) < probabilities).astype(int)
        lows.append(expected_calibration_error(probabilities, labels, patients, seed=0).low)
    assert np.count_nonzero(lows) <= 2
