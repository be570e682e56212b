"""Weights that make both classes count alike in the loss."""

import numpy as np
from numpy.typing import NDArray


def balanced_class_weights(labels: NDArray[np.integer]) -> dict[int, float]:
    """``n / (classes * n_class)`` for each class present, as scikit-learn's ``balanced`` does.

    Args:
        labels: ``[N]`` integer classes, at least one.

    Returns:
        Weight by class; the mean weight over the images is 1.
    """
    classes, counts = np.unique(labels, return_counts=True)
    weights = labels.size / (classes.size * counts)
    return {int(c): float(w) for c, w in zip(classes, weights, strict=True)}
