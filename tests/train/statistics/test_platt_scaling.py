import numpy as np
import pytest
from scipy.special import expit

from cxr_edge_train.statistics.platt_scaling import (
    TEMPERATURES,
    cross_fitted_probabilities,
    fit_platt,
    probabilities,
)


def drawn(
    n: int, *, temperature: float, bias: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits with labels that were drawn with the probability the two numbers give."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, n)
    return logits, (random.random(n) < expit((logits + bias) / temperature)).astype(int)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("bias", [-2.0, 0.0, 1.5])
def test_both_numbers_of_drawn_labels_are_found(temperature: float, bias: float) -> None:
    logits, labels = drawn(20_000, temperature=temperature, bias=bias)
    found = fit_platt(logits, labels)
    assert found == pytest.approx((temperature, bias), rel=0.06, abs=0.08)


def test_mean_probability_is_the_share_of_positives() -> None:
    logits, labels = drawn(2_000, temperature=2.0, bias=3.0)
    temperature, bias = fit_platt(logits, labels)
    fitted = probabilities(logits, temperature=temperature, bias=bias)
    assert fitted.mean() == pytest.approx(labels.mean(), abs=1e-5)


def test_labels_that_a_threshold_separates_take_the_lowest_temperature() -> None:
    logits, labels = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 0, 1, 1])
    temperature, bias = fit_platt(logits, labels)
    assert temperature == pytest.approx(TEMPERATURES[0])
    assert np.isfinite(bias)


def test_reversed_labels_take_the_highest_temperature() -> None:
    logits, labels = drawn(1_000, temperature=1.0, bias=0.0)
    assert fit_platt(logits, 1 - labels)[0] == pytest.approx(TEMPERATURES[1])


def test_probabilities_are_the_scaled_sigmoid() -> None:
    found = probabilities(np.array([0.0, 2.0]), temperature=2.0, bias=-1.0)
    np.testing.assert_allclose(found, expit([-0.5, 0.5]))


def test_cross_fitted_probability_does_not_know_the_labels_of_its_own_patient() -> None:
    patients = np.repeat(np.arange(20), 2).astype(object)
    labels = np.tile([0, 1], 20)
    logits = np.random.default_rng(0).normal(2 * labels - 1, 2.0)
    before = cross_fitted_probabilities(logits, labels, patients)
    # Every patient still has one of each, so the parts stay the same.
    changed = np.where(patients == 7, 1 - labels, labels)
    after = cross_fitted_probabilities(logits, changed, patients)
    np.testing.assert_array_equal(before[patients == 7], after[patients == 7])
    assert not np.array_equal(before, after)


def test_cross_fitted_numbers_of_one_model_are_applied_to_another() -> None:
    logits, labels = drawn(300, temperature=1.0, bias=0.5)
    patients = np.arange(300).astype(object)
    own = cross_fitted_probabilities(logits, labels, patients)
    same = cross_fitted_probabilities(logits, labels, patients, applied_to=logits.copy())
    np.testing.assert_array_equal(own, same)
    higher = cross_fitted_probabilities(logits, labels, patients, applied_to=logits + 1)
    assert (higher > own).all()


def test_one_patient_of_a_label_is_no_error() -> None:
    logits, labels = np.array([-1.0, 0.5, 2.0]), np.array([0, 1, 1])
    found = cross_fitted_probabilities(logits, labels, np.array(["a", "b", "c"], object))
    temperature, bias = fit_platt(logits, labels)
    np.testing.assert_array_equal(found, probabilities(logits, temperature=temperature, bias=bias))
