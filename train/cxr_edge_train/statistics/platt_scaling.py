"""Platt scaling: two numbers, fitted on validation, that turn a logit into a probability.

The probability of the positive label is ``sigmoid((logit + bias) / temperature)`` (Platt 1999,
Probabilistic outputs for support vector machines). Training is balanced over the labels, so a
logit of 0 stands for equally many images of both. The bias moves it to the share of positives in
validation; temperature alone (Guo et al. 2017) cannot. Neither changes the order of two images.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import StratifiedGroupKFold

# Beyond these a network is broken rather than over- or under-confident.
TEMPERATURES = (0.05, 20.0)
_FOLDS = 5
# Part of the definition of the cross-fitted probabilities, not an option.
_SEED = 0


def fit_platt(
    logits: NDArray[np.floating], labels: NDArray[np.integer], *, smoothed: bool = False
) -> tuple[float, float]:
    """Find the temperature and the bias that minimise the log loss.

    Args:
        logits: ``[N]`` on validation.
        labels: ``[N]`` of 1 (positive) and 0, both present.
        smoothed: fit to Platt's targets, ``(n + 1) / (n + 2)`` for the n positive images and
            ``1 / (n + 2)`` for the n negative ones. A few dozen images, of which one lies far on
            the wrong side, otherwise give extreme numbers; of hundreds it makes no difference.

    Returns:
        The temperature, within :data:`TEMPERATURES`, and the bias.
    """
    values = logits.astype(np.float64)
    positives = int(np.sum(labels))
    targets = labels.astype(np.float64)
    if smoothed:
        low, high = 1 / (len(labels) - positives + 2), (positives + 1) / (positives + 2)
        targets = np.where(labels == 1, high, low)

    def log_loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        # In slope and intercept the loss is convex.
        slope, intercept = parameters
        scores = slope * values + intercept
        pulls = expit(scores) - targets
        gradient = np.array([(pulls * values).mean(), pulls.mean()])
        return float((np.logaddexp(0.0, scores) - targets * scores).mean()), gradient

    lowest, highest = TEMPERATURES
    found = minimize(
        log_loss,
        (1.0, 0.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1 / highest, 1 / lowest), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )
    slope, intercept = (float(value) for value in found.x)
    return 1 / slope, intercept / slope


def probabilities(
    logits: NDArray[np.floating], *, temperature: float, bias: float
) -> NDArray[np.float64]:
    """The probability ``[N]`` of the positive label, ``sigmoid((logit + bias) / temperature)``."""
    scaled: NDArray[np.float64] = expit((logits.astype(np.float64) + bias) / temperature)
    return scaled


def cross_fitted_probabilities(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    patients: NDArray[np.object_],
    *,
    applied_to: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Probabilities of images that the two numbers were not fitted on.

    The images are divided into five parts by patient. The probabilities of each part are computed
    with the temperature and the bias of the other four, so that an error of calibration measured on
    them is not flattered by the fit.

    Args:
        logits: ``[N]`` on validation, which the numbers are fitted on.
        labels: ``[N]`` of 1 (positive) and 0, both present.
        patients: ``[N]``, equal for images of one patient.
        applied_to: ``[N]``, the logits of another model for the same images, for which the
            probabilities are computed instead; None for the same logits.

    Returns:
        ``[N]``; see :func:`folds_by_patient`.
    """
    applied = logits if applied_to is None else applied_to
    found = np.empty(len(logits))
    for others, part in folds_by_patient(labels, patients):
        temperature, bias = fit_platt(logits[others], labels[others])
        found[part] = probabilities(applied[part], temperature=temperature, bias=bias)
    return found


def folds_by_patient(
    labels: NDArray[np.integer], patients: NDArray[np.object_]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Divide images into five parts by patient, the same ones every time.

    Args:
        labels: ``[N]`` of 1 (positive) and 0, both present.
        patients: ``[N]``, equal for images of one patient.

    Yields:
        The positions of the images to fit on, and of those of the part. With fewer than two
        patients of a label, and where a part has all images of a label, all are fitted on.
    """
    everything = np.arange(len(labels))
    fewest = min(len(set(patients[labels == label])) for label in (0, 1))
    if fewest < 2:
        yield everything, everything
        return
    folds = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=_SEED)
    for others, part in folds.split(labels, labels, groups=patients):
        yield (others if len(set(labels[others])) == 2 else everything), part
