"""Signs in a model's metrics that something is wrong with it, or with its labels."""

import math
from collections.abc import Mapping

from cxr_edge_train.statistics.intervals import Interval
from cxr_edge_train.statistics.operating_point import OperatingPoint
from cxr_edge_train.statistics.platt_scaling import TEMPERATURES

_CHANCE = 0.5
# Standard deviations: 95%.
_BEYOND_CHANCE = 1.96
# The search for a temperature comes so close to a bound, as a share of it.
_ON_BOUND = 1e-3


def has_reversed_labels(metrics: Mapping[str, Interval]) -> bool:
    """Whether a model ranks the labels the wrong way round beyond chance: they are reversed.

    Args:
        metrics: by name, on validation.
    """
    return metrics["auc"].high < _CHANCE and _deviation(metrics) < -_BEYOND_CHANCE


def _deviation(metrics: Mapping[str, Interval]) -> float:
    """How far the AUC is from 0.5, in standard deviations of a model that knows nothing.

    By the normal approximation of Mann and Whitney (1947), with half a pair as the correction for
    continuity. The bootstrap's interval is [1, 1] where all pairs of a few images are in order,
    which a model that knows nothing gives by chance.
    """
    negatives, positives = metrics["specificity"].n, metrics["sensitivity"].n
    pairs = negatives * positives
    beyond = (metrics["auc"].value - _CHANCE) * pairs
    corrected = math.copysign(max(abs(beyond) - 0.5, 0.0), beyond)
    return corrected / math.sqrt(pairs * (negatives + positives + 1) / 12)


def soundness_warnings(
    metrics: Mapping[str, Interval],
    point: OperatingPoint,
    names: tuple[str, str],
    *,
    on: str = "validation",
) -> tuple[str, ...]:
    """What a user must know of a model before trusting it, one sentence each.

    Args:
        metrics: by name, at the operating point.
        point: the operating point, chosen on the same images.
        names: the negative and the positive label.
        on: what the images are called.
    """
    negative, positive = names
    warnings = []
    if metrics["auc"].low > _CHANCE and _deviation(metrics) < _BEYOND_CHANCE:
        warnings.append(
            f"{on} has too few images, {metrics['specificity'].n} of "
            f"{negative} and {metrics['sensitivity'].n} of {positive}, to tell this model from "
            "chance"
        )
    elif metrics["auc"].high < _CHANCE:
        words = f"on {on} this model ranks {negative} above {positive} (AUC {metrics['auc']})"
        few = "" if has_reversed_labels(metrics) else ", but on too few images to rule out chance"
        warnings.append(words + few)
    elif metrics["auc"].low <= _CHANCE:
        warnings.append(
            f"on {on} this model is not clearly better than chance: the interval of its AUC, "
            f"{metrics['auc']}, includes 0.5"
        )
    for name, metric, label in (
        ("sensitivity", metrics["sensitivity"], positive),
        ("specificity", metrics["specificity"], negative),
    ):
        if metric.value == 0:
            warnings.append(
                f"the {name} is 0 at the threshold: none of {metric.n} images of "
                f"{label} on {on} is labelled so"
            )
    lowest, highest = TEMPERATURES
    if not lowest * (1 + _ON_BOUND) < point.temperature < highest * (1 - _ON_BOUND):
        warnings.append(
            f"the temperature is at its limit, {point.temperature:g}, so the probabilities are "
            "not calibrated"
        )
    return tuple(warnings)
