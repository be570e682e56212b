"""The operating point: what turns a logit into a probability, and that into a decision.

Temperature, bias and threshold are chosen on validation images alone, and frozen before anything
else is measured.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.probability import logit_of
from cxr_edge_train.defaults import MIN_SENSITIVITY, MIN_SPECIFICITY
from cxr_edge_train.statistics import platt_scaling

# No probability reaches it.
_ABOVE_ALL = float(np.nextafter(1.0, 2.0))


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How a model's logit becomes a probability and a decision.

    Attributes:
        temperature: the probability of the positive label is
            ``sigmoid((logit + bias) / temperature)``.
        threshold: an image is called positive where its probability is at least this.
        rule: how the threshold was chosen, in words.
        chosen_on: the split whose images all were chosen on.
        bias: see the temperature; 0 where there is none.
        prevalence: the share of positives that the probability stands for, above 0 and below 1:
            that of the images the bias was fitted on. None where no bias was fitted.
    """

    temperature: float
    threshold: float
    rule: str
    chosen_on: str
    bias: float = 0.0
    prevalence: float | None = None

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability ``[N]`` of the positive label for the logits ``[N]``."""
        return platt_scaling.probabilities(logits, temperature=self.temperature, bias=self.bias)

    @property
    def threshold_logit(self) -> float:
        """The logit whose probability is the threshold; finite."""
        return logit_of(self.threshold, temperature=self.temperature, bias=self.bias)


def fit_operating_point(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    min_sensitivity: float = MIN_SENSITIVITY,
    chosen_on: str = "validation",
    smoothed: bool = False,
) -> OperatingPoint:
    """Fit temperature and bias, then choose the threshold by :func:`threshold_for_sensitivity`.

    Args:
        logits: ``[N]`` of validation images.
        labels: ``[N]`` of 1 (positive) and 0, both present.
        min_sensitivity: the lowest sensitivity that is allowed, above 0 and at most 1.
        chosen_on: the split that the images are of.
        smoothed: see :func:`cxr_edge_train.statistics.platt_scaling.fit_platt`.

    Raises:
        InvalidRequest: ``min_sensitivity`` is out of range.
    """
    temperature, bias = platt_scaling.fit_platt(logits, labels, smoothed=smoothed)
    threshold = threshold_for_sensitivity(
        platt_scaling.probabilities(logits, temperature=temperature, bias=bias),
        labels,
        min_sensitivity=min_sensitivity,
    )
    prevalence = float(np.mean(labels))
    rule = rule_of(min_sensitivity)
    return OperatingPoint(temperature, threshold, rule, chosen_on, bias, prevalence)


def rule_of(min_sensitivity: float) -> str:
    """How the threshold is chosen, in words."""
    return f"highest specificity with sensitivity at least {min_sensitivity:g}"


def threshold_for_sensitivity(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    min_sensitivity: float = MIN_SENSITIVITY,
) -> float:
    """The threshold of the highest specificity among those with at least ``min_sensitivity``.

    It lies midway between the lowest probability that it calls positive and the highest one that
    it does not, so that another engine's rounding changes neither decision.

    Args:
        probabilities: ``[N]`` of the positive label on validation.
        labels: ``[N]`` of 1 (positive) and 0, both present.
        min_sensitivity: the lowest sensitivity that is allowed, above 0 and at most 1.

    Raises:
        InvalidRequest: ``min_sensitivity`` is out of range.
    """
    if not 0 < min_sensitivity <= 1:
        raise InvalidRequest(f"the sensitivity floor must lie within 0 to 1, not {min_sensitivity}")
    _, sensitivity, thresholds = roc_curve(labels, probabilities, drop_intermediate=False)
    # Sensitivity and false positive rate both rise along the curve: the first point that reaches
    # the floor has the highest specificity.
    index = int(np.argmax(sensitivity >= min_sensitivity))
    return _midway(probabilities, float(thresholds[index]))


def threshold_for_specificity(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    min_specificity: float = MIN_SPECIFICITY,
) -> float:
    """The threshold of the highest sensitivity among those with at least ``min_specificity``.

    Of thresholds with the same sensitivity, the one with the highest specificity is taken.
    Architectures are compared here: by sensitivity alone, the model that always says positive
    would be chosen.

    Args:
        probabilities: ``[N]`` of the positive label on validation.
        labels: ``[N]`` of 1 (positive) and 0, both present.
        min_specificity: the lowest specificity that is allowed, above 0 and at most 1.

    Returns:
        The threshold, laid as by :func:`threshold_for_sensitivity`; just above 1 where no threshold
        that calls anything positive has the specificity.

    Raises:
        InvalidRequest: ``min_specificity`` is out of range.
    """
    if not 0 < min_specificity <= 1:
        raise InvalidRequest(f"the specificity floor must lie within 0 to 1, not {min_specificity}")
    false_positive_rate, sensitivity, thresholds = roc_curve(
        labels, probabilities, drop_intermediate=False
    )
    # The first point, where nothing is called positive and scikit-learn's threshold is infinite,
    # always keeps the floor. Counts are compared, not rounded shares.
    negatives = int((labels == 0).sum())
    false_positives = np.rint(false_positive_rate * negatives)
    last = int(np.flatnonzero(negatives - false_positives >= min_specificity * negatives)[-1])
    # Points before it with the same sensitivity call fewer normal films positive.
    index = int(np.flatnonzero(sensitivity == sensitivity[last])[0])
    reached = float(thresholds[index])
    return _midway(probabilities, reached) if np.isfinite(reached) else _ABOVE_ALL


def _midway(probabilities: NDArray[np.floating], reached: float) -> float:
    below = probabilities[probabilities < reached]
    if not below.size:
        return reached
    highest = float(below.max())
    # Between two neighbouring floats there is no middle.
    middle = (reached + highest) / 2
    return middle if middle > highest else reached
