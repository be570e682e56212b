import numpy as np
import pytest
from cxr_edge_train.statistics.temperature import fit_temperature, probabilities
from scipy.special import expit


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperature_of_drawn_labels_is_found(true_temperature: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 20_000)
    labels = (random.random(20_000) < expit(logits / true_temperature)).astype(int)
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_probabilities_are_the_scaled_sigmoid() -> None:
    np.testing.assert_allclose(probabilities(np.array([0.0, 2.0]), 2.0), [0.5, expit(1.0)])
