"""An operating point of a variant's own, fitted to its logits after the verdict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline, decision_failures, lost_images
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.evaluation.metrics import Metrics, evaluate_fitted
from cxr_edge_train.statistics.operating_point import OperatingPoint, fit_operating_point


@dataclass(frozen=True, slots=True)
class Refit:
    """Temperature and threshold fitted anew on the variant's own validation logits.

    Attributes:
        temperature: the probability is ``sigmoid((logit + bias) / temperature)``.
        bias: see the temperature.
        prevalence: the share of PNEUMONIA that the probability stands for.
        threshold: an image is called PNEUMONIA where its probability is at least this.
        rule: how the threshold was chosen, in words.
        metrics: how good the variant is there.
    """

    temperature: float
    bias: float
    prevalence: float
    threshold: float
    rule: str
    metrics: Metrics

    @property
    def operating_point(self) -> OperatingPoint:
        """What was fitted, in one."""
        return OperatingPoint(
            self.temperature, self.threshold, self.rule, "validation", self.bias, self.prevalence
        )


def refit(
    baseline: FloatBaseline, logits: NDArray[np.floating], *, min_sensitivity: float
) -> Refit:
    """Fit temperature and threshold on a variant's own logits, after its verdict.

    Args:
        baseline: the float model, whose images are used.
        logits: ``[N]`` of the variant.
        min_sensitivity: the lowest sensitivity that is allowed.
    """
    labels, weights = positives(baseline.table), baseline.weights
    point = fit_operating_point(logits, labels, min_sensitivity=min_sensitivity, weights=weights)
    assert point.prevalence is not None  # every fit has one
    return Refit(
        point.temperature,
        point.bias,
        point.prevalence,
        point.threshold,
        point.rule,
        evaluate_fitted(logits, baseline.table, point),
    )


def refit_failures(
    baseline: FloatBaseline, logits: NDArray[np.floating], own: Refit, limits: Limits
) -> list[str]:
    """What a variant loses at its own operating point beyond the limits, in words.

    A threshold fitted anew must not undo what the verdict proved.
    """
    was = baseline.probabilities(baseline.logits) >= baseline.threshold
    now = own.operating_point.probabilities(logits) >= own.threshold
    lost = lost_images(positives(baseline.table).astype(bool), was, now)
    return [f"fitted anew, {words}" for words in decision_failures(*lost, limits)]
