"""A variant's own operating point, where float's was chosen for other logits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline, beyond_limits, drops_between
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.evaluation.metrics import Metrics, evaluate
from cxr_edge_train.statistics.operating_point import fit_operating_point


@dataclass(frozen=True, slots=True)
class Refit:
    """Temperature and threshold fitted anew on the variant's own validation logits.

    Attributes:
        temperature: by which its logits are divided.
        threshold: PNEUMONIA at or above it.
        rule: that chose the threshold.
        metrics: of the variant there.
    """

    temperature: float
    threshold: float
    rule: str
    metrics: Metrics


def refit(
    reference: FloatBaseline, logits: NDArray[np.floating], *, min_sensitivity: float
) -> Refit:
    """Fit temperature and threshold on a variant's own logits, after its verdict.

    Args:
        reference: the float model, for its images.
        logits: ``[N]`` of the variant.
        min_sensitivity: floor of the operating point.
    """
    labels, weights = positives(reference.table), reference.weights
    point = fit_operating_point(logits, labels, min_sensitivity=min_sensitivity, weights=weights)
    metrics = evaluate(point.probabilities(logits), reference.table, threshold=point.threshold)
    return Refit(point.temperature, point.threshold, point.rule, metrics)


def refit_failures(reference: FloatBaseline, own: Refit, limits: Limits) -> list[str]:
    """What a variant loses at its own operating point beyond the limits, in words.

    A threshold fitted anew must not undo what the verdict proved.
    """
    drops = drops_between(reference.metrics, own.metrics)
    del drops["AUC"]  # it knows no threshold, so the verdict has it
    return [f"fitted anew, {words}" for words in beyond_limits(drops, limits)]
