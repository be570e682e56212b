"""A variant's own operating point, where float's was chosen for other logits."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline, beyond_limits, drops_between
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.evaluation.metrics import Metrics, evaluate
from cxr_edge_train.evaluation.operating_point import choose_operating_point, threshold_rule
from cxr_edge_train.statistics.temperature import fit_temperature, probabilities


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

    def as_dict(self) -> dict[str, Any]:
        """As it stands in ``report.json``."""
        return asdict(self) | {"metrics": self.metrics.as_dict()}


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
    temperature = fit_temperature(logits, labels, weights)
    probability = probabilities(logits, temperature)
    point = choose_operating_point(
        probability, labels, min_sensitivity=min_sensitivity, weights=weights
    )
    metrics = evaluate(probability, reference.table, threshold=point.threshold)
    rule = threshold_rule(point, weights)
    return Refit(temperature, point.threshold, rule, metrics)


def refit_failures(reference: FloatBaseline, own: Refit, limits: Limits) -> list[str]:
    """What a variant loses at its own operating point beyond the limits, in words.

    A threshold fitted anew must not undo what the verdict proved.
    """
    drops = drops_between(reference.metrics, own.metrics)
    del drops["AUC"]  # it knows no threshold, so the verdict has it
    return [f"fitted anew, {words}" for words in beyond_limits(drops, limits)]
