"""The threshold at which a probability becomes a decision; chosen on validation alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.defaults import MIN_SENSITIVITY, MIN_SPECIFICITY

# No probability reaches it.
_ABOVE_ALL = float(np.nextafter(1.0, 2.0))


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
    weights: NDArray[np.floating] | None = None,
) -> OperatingPoint:
    """The highest specificity among the thresholds with at least ``min_sensitivity``.

    The threshold is laid midway between the lowest probability called PNEUMONIA and the highest
    one below it, so that rounding in another engine flips neither.

    Args:
        probabilities: ``[N]`` probability of PNEUMONIA on validation.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0, both present.
        min_sensitivity: the floor, above 0 and at most 1.
        weights: ``[N]``, how much each film counts in both shares; all alike where it is None.

    Raises:
        InvalidRequest: the floor is out of range.
    """
    if not 0 < min_sensitivity <= 1:
        raise InvalidRequest(f"the sensitivity floor must lie within 0 to 1, not {min_sensitivity}")
    false_positive_rate, sensitivity, thresholds = roc_curve(
        labels, probabilities, sample_weight=weights, drop_intermediate=False
    )
    # Sensitivity and false positive rate both rise along the curve: the first point that reaches
    # the floor has the highest specificity. The last point's sensitivity is 1, or just below when
    # weights were added up.
    index = int(np.argmax(sensitivity >= min(min_sensitivity, float(sensitivity[-1]))))
    return OperatingPoint(
        threshold=_midway(probabilities, float(thresholds[index])),
        rule=f"highest specificity with sensitivity at least {min_sensitivity:g}",
        sensitivity=float(sensitivity[index]),
        specificity=float(1 - false_positive_rate[index]),
    )


def highest_recall(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    min_specificity: float = MIN_SPECIFICITY,
) -> OperatingPoint:
    """The highest sensitivity among the thresholds with at least ``min_specificity``.

    Of those with the same sensitivity the one with the highest specificity is taken.

    Architectures are compared here: recall alone would choose the model that always says
    PNEUMONIA.

    Args:
        probabilities: ``[N]`` probability of PNEUMONIA on validation.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0, both present.
        min_specificity: the floor, above 0 and at most 1.

    Raises:
        InvalidRequest: the floor is out of range.
    """
    if not 0 < min_specificity <= 1:
        raise InvalidRequest(f"the specificity floor must lie within 0 to 1, not {min_specificity}")
    false_positive_rate, sensitivity, thresholds = roc_curve(
        labels, probabilities, drop_intermediate=False
    )
    # The first point, where nothing is called PNEUMONIA and scikit-learn's threshold is infinite,
    # always keeps the floor. Counts are compared, not rounded shares.
    negatives = int((labels == 0).sum())
    false_positives = np.rint(false_positive_rate * negatives)
    last = int(np.flatnonzero(negatives - false_positives >= min_specificity * negatives)[-1])
    # Points before it with the same sensitivity call fewer normal films PNEUMONIA.
    index = int(np.flatnonzero(sensitivity == sensitivity[last])[0])
    reached = float(thresholds[index])
    return OperatingPoint(
        threshold=_midway(probabilities, reached) if np.isfinite(reached) else _ABOVE_ALL,
        rule=f"highest sensitivity with specificity at least {min_specificity:g}",
        sensitivity=float(sensitivity[index]),
        specificity=float(1 - false_positive_rate[index]),
    )


def _midway(probabilities: NDArray[np.floating], reached: float) -> float:
    below = probabilities[probabilities < reached]
    return (reached + float(below.max())) / 2 if below.size else reached


def threshold_rule(point: OperatingPoint, weights: NDArray[np.float64] | None) -> str:
    """The rule that chose a threshold, in words, with how films were weighted."""
    return point.rule + (", looks balanced" if weights is not None else "")
