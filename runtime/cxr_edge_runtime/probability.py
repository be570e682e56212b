"""From a logit to a probability, and the same probability at another prevalence."""

import math

from cxr_edge_runtime.arguments import MAX_PREVALENCE, MIN_PREVALENCE, check_number
from cxr_edge_runtime.bundle.manifest import Manifest
from cxr_edge_runtime.errors import InvalidRequest

_SURE = 1e-12
# Decimals that tell neighbouring numbers at the lowest prevalence apart.
_MAX_DIGITS = 26


def sigmoid(value: float) -> float:
    """``1 / (1 + exp(-value))`` without overflow."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def probability_of(logit: float, manifest: Manifest) -> float:
    """The probability of a bundle's positive label, ``sigmoid((logit + bias) / temperature)``."""
    return sigmoid((logit + manifest.bias) / manifest.temperature)


def threshold_logit(manifest: Manifest) -> float:
    """The logit whose probability is the threshold of a bundle."""
    return logit_of(manifest.threshold.value, temperature=manifest.temperature, bias=manifest.bias)


def logit_of(probability: float, *, temperature: float, bias: float) -> float:
    """The logit of a probability ``sigmoid((logit + bias) / temperature)``; finite."""
    # Of a threshold that no probability reaches, or every one does, it would be infinite.
    inside = min(max(probability, _SURE), 1 - _SURE)
    return temperature * math.log(inside / (1 - inside)) - bias


def at_prevalence(probability: float, *, stated: float, wanted: float) -> float:
    """Move a probability to another prevalence by Bayes' rule.

    The odds are multiplied by the ratio of the odds of both prevalences (Saerens et al. 2002,
    Adjusting the outputs of a classifier to new a priori probabilities). A threshold that is moved
    in the same way leaves every decision as it was.

    Args:
        probability: of the positive label, 0 to 1.
        stated: the prevalence that it stands for, above 0 and below 1.
        wanted: the prevalence that it shall stand for, above 0 and below 1.

    >>> round(at_prevalence(0.5, stated=0.5, wanted=0.1), 3)
    0.1
    """
    positive = probability * wanted / stated
    negative = (1 - probability) * (1 - wanted) / (1 - stated)
    return positive / (positive + negative)


def check_prevalence(prevalence: object, manifest: Manifest) -> None:
    """Check a prevalence that probabilities shall stand for.

    Raises:
        InvalidRequest: it is no number, or out of range, or the bundle does not state the
            prevalence that its own probabilities stand for.
    """
    check_number(prevalence, "prevalence", minimum=MIN_PREVALENCE, maximum=MAX_PREVALENCE)
    if manifest.prevalence is None:
        raise InvalidRequest(
            f"bundle {manifest.name} does not state the prevalence that its probabilities were "
            "calibrated for, so they cannot be converted to another; convert its model again"
        )


def digits_apart(probability: float, threshold: float, *, at_least: int) -> int:
    """How many decimals show which of two different numbers is larger."""
    return next(
        (
            digits
            for digits in range(at_least, _MAX_DIGITS)
            if f"{probability:.{digits}f}" != f"{threshold:.{digits}f}"
        ),
        at_least,
    )
