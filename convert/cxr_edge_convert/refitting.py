"""An operating point of a variant's own, fitted to its logits after the verdict."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline, beyond_limits, drops_between
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.evaluation.metrics import Metrics, evaluate
from cxr_edge_train.statistics.operating_point import OperatingPoint, fit_operating_point


@dataclass(frozen=True, slots=True)
class Refit:
    """Temperature and threshold fitted anew on the variant's own validation logits.

    Attributes:
        temperature: the probability is ``sigmoid(logit / temperature)``.
        threshold: an image is called PNEUMONIA where its probability is at least this.
        rule: how the threshold was chosen, in words.
        metrics: how good the variant is there.
    """

    temperature: float
    threshold: float
    rule: str
    metrics: Metrics

    @property
    def operating_point(self) -> OperatingPoint:
        """Temperature, threshold and rule in one."""
        return OperatingPoint(self.temperature, self.threshold, self.rule, "validation")


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
    metrics = evaluate(point.probabilities(logits), baseline.table, threshold=point.threshold)
    return Refit(point.temperature, point.threshold, point.rule, metrics)


def refit_failures(baseline: FloatBaseline, own: Refit, limits: Limits) -> list[str]:
    """What a variant loses at its own operating point beyond the limits, in words.

    A threshold fitted anew must not undo what the verdict proved.
    """
    drops = drops_between(baseline.metrics, own.metrics)
    del drops["AUC"]  # it knows no threshold, so the verdict has it
    return [f"fitted anew, {words}" for words in beyond_limits(drops, limits)]
