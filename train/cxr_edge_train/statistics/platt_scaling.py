"""Temperature scaling (Guo et al. 2017): one number that calibrates probabilities."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

# Beyond these a network is broken rather than over- or under-confident.
_BOUNDS = (0.05, 20.0)


def fit_temperature(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    weights: NDArray[np.floating] | None = None,
) -> float:
    """Find the temperature ``T`` that minimises the log loss of ``sigmoid(logit / T)``.

    Args:
        logits: ``[N]`` on validation.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
        weights: ``[N]``, how much each image counts; all count alike where it is None.
    """
    signs = np.where(labels == 1, -1.0, 1.0)

    def log_loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_temperature)
        return float(np.average(np.logaddexp(0.0, signs * scaled), weights=weights))

    found = minimize_scalar(log_loss, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(found.x))


def probabilities(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """The probability ``[N]`` of PNEUMONIA, ``sigmoid(logit / temperature)``."""
    scaled: NDArray[np.float64] = expit(logits.astype(np.float64) / temperature)
    return scaled
