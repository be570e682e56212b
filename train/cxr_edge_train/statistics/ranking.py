"""Areas under the ROC and precision-recall curves for many weightings of the same images."""

import numpy as np
from numpy.typing import NDArray


class Ranking:
    """Images sorted once by probability, for many weightings of them.

    scikit-learn gives the same values but sorts and checks each time: 5 ms for 865 images against
    0.05 ms here, and a bootstrap does it a thousand times.
    """

    def __init__(self, probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
        """Take ``probabilities [N]`` of the positive label and ``labels [N]`` of 1 and 0."""
        self._order = np.argsort(-probabilities, kind="stable")
        self._positive = labels[self._order].astype(np.int64)
        # Images of equal probability are called together: a curve has a point after the last one.
        self._ends = np.append(np.flatnonzero(np.diff(probabilities[self._order])), len(labels) - 1)

    def areas(self, weights: NDArray[np.int64]) -> tuple[float, float]:
        """Compute the area under the ROC curve and the average precision.

        The former uses the trapezoidal rule, so a tie counts half; the latter is the sum over the
        thresholds of the precision times the rise in recall, as in scikit-learn. Both are NaN where
        a label has no weight.

        Args:
            weights: ``[N]``, how often each image counts.
        """
        ordered = weights[self._order]
        true = np.cumsum(ordered * self._positive)[self._ends]
        called = np.cumsum(ordered)[self._ends]
        false = called - true
        if true[-1] == 0 or false[-1] == 0:
            return float("nan"), float("nan")
        rise = np.diff(true, prepend=0)
        # Whole numbers up to the division: no rounding that depends on the order of the images.
        twice_the_area = int(np.sum(np.diff(false, prepend=0) * (2 * true - rise)))
        precision = true / np.maximum(called, 1)  # where nothing is called, nothing rises either
        return (
            twice_the_area / (2 * int(true[-1]) * int(false[-1])),
            float(np.sum(rise * precision) / true[-1]),
        )
