"""An operating point of a variant's own, fitted to its logits after the verdict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import (
    FloatBaseline,
    LostImages,
    decision_failures,
    drop_bound,
    lost_images,
)
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.evaluation.metrics import Metrics, evaluate_fitted
from cxr_edge_train.statistics.operating_point import OperatingPoint, fit_operating_point


@dataclass(frozen=True, slots=True)
class Refit:
    """Temperature, bias and threshold fitted anew on the variant's own validation logits.

    Attributes:
        temperature: the probability is ``sigmoid((logit + bias) / temperature)``.
        bias: see the temperature.
        prevalence: the share of the positive label that the probability stands for.
        threshold: an image is called positive where its probability is at least this.
        rule: how the threshold was chosen, in words.
        metrics: how good the variant is there.
        recall_lost: the pneumonias that the float model finds, at its own point, and the variant
            does not.
        recall_drop_bound: see :class:`cxr_edge_convert.verification.Verification`.
        specificity_lost: the same of the normal images.
    """

    temperature: float
    bias: float
    prevalence: float
    threshold: float
    rule: str
    metrics: Metrics
    recall_lost: LostImages
    recall_drop_bound: float
    specificity_lost: LostImages

    @property
    def operating_point(self) -> OperatingPoint:
        """What was fitted, in one."""
        return OperatingPoint(
            self.temperature, self.threshold, self.rule, "validation", self.bias, self.prevalence
        )


def refit(
    baseline: FloatBaseline, logits: NDArray[np.floating], *, min_sensitivity: float
) -> Refit:
    """Fit temperature, bias and threshold on a variant's own logits, after its verdict.

    Args:
        baseline: the float model, whose images are used.
        logits: ``[N]`` of the variant.
        min_sensitivity: the lowest sensitivity that is allowed.
    """
    labels = positives(baseline.table)
    point = fit_operating_point(logits, labels, min_sensitivity=min_sensitivity)
    assert point.prevalence is not None  # every fit has one
    truth = labels.astype(bool)
    was = baseline.probabilities(baseline.logits) >= baseline.threshold
    now = point.probabilities(logits) >= point.threshold
    recall_lost, specificity_lost = lost_images(truth, was, now)
    return Refit(
        point.temperature,
        point.bias,
        point.prevalence,
        point.threshold,
        point.rule,
        evaluate_fitted(logits, baseline.table, point),
        recall_lost,
        drop_bound(was[truth], now[truth]),
        specificity_lost,
    )


def refit_failures(own: Refit, limits: Limits) -> list[str]:
    """What a variant loses at its own operating point beyond the limits, in words.

    A threshold fitted anew must not undo what the verdict proved.
    """
    failures = decision_failures(own.recall_lost, own.specificity_lost, limits)
    return [f"refitted, {words}" for words in failures]
