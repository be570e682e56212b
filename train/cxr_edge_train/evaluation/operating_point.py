"""The threshold at which a probability becomes a decision; chosen on validation alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.defaults import MIN_SENSITIVITY


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the probability and the rule that chose it.

    Attributes:
        threshold: PNEUMONIA at or above it.
        rule: the rule in words, for the manifest.
        sensitivity: reached on the data it was chosen on.
        specificity: reached on the data it was chosen on.
    """

    threshold: float
    rule: str
    sensitivity: float
    specificity: float


def choose_operating_point(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    min_sensitivity: float = MIN_SENSITIVITY,
) -> OperatingPoint:
    """The highest specificity among the thresholds with at least ``min_sensitivity``.

    The threshold is laid midway between the lowest probability called PNEUMONIA and the highest
    one below it, so that rounding in another engine flips neither.

    Args:
        probabilities: ``[N]`` probability of PNEUMONIA on validation.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0, both present.
        min_sensitivity: the floor, above 0 and at most 1.

    Raises:
        InvalidRequest: the floor is out of range.
    """
    if not 0 < min_sensitivity <= 1:
        raise InvalidRequest(f"the sensitivity floor must lie within 0 to 1, not {min_sensitivity}")
    false_positive_rate, sensitivity, thresholds = roc_curve(
        labels, probabilities, drop_intermediate=False
    )
    # Sensitivity and false positive rate both rise along the curve: the first point that reaches
    # the floor has the highest specificity. The last point has sensitivity 1, so one always does.
    index = int(np.argmax(sensitivity >= min_sensitivity))
    reached = float(thresholds[index])
    below = probabilities[probabilities < reached]
    threshold = (reached + float(below.max())) / 2 if below.size else reached
    return OperatingPoint(
        threshold=threshold,
        rule=f"highest specificity with sensitivity at least {min_sensitivity:g}",
        sensitivity=float(sensitivity[index]),
        specificity=float(1 - false_positive_rate[index]),
    )
