"""Signs in a model's metrics that something is wrong with it, or with its labels."""

from collections.abc import Mapping

from cxr_edge_train.statistics.intervals import Interval
from cxr_edge_train.statistics.operating_point import OperatingPoint
from cxr_edge_train.statistics.platt_scaling import TEMPERATURES

_CHANCE = 0.5
# The search for a temperature comes so close to a bound, as a share of it.
_ON_BOUND = 1e-3


def has_reversed_labels(auc: Interval) -> bool:
    """Whether a model ranks NORMAL above PNEUMONIA beyond chance: its labels are reversed."""
    return auc.high < _CHANCE


def soundness_warnings(metrics: Mapping[str, Interval], point: OperatingPoint) -> tuple[str, ...]:
    """What a user must know of a model before trusting it, one sentence each.

    Args:
        metrics: by name, on validation, at the operating point.
        point: the operating point, chosen on validation.
    """
    warnings = []
    if metrics["auc"].low <= _CHANCE:
        warnings.append(
            "on validation this model is not clearly better than chance: the interval of its AUC, "
            f"{metrics['auc']}, includes 0.5"
        )
    for name, metric, label in (
        ("sensitivity", metrics["sensitivity"], "PNEUMONIA"),
        ("specificity", metrics["specificity"], "NORMAL"),
    ):
        if metric.value == 0:
            warnings.append(
                f"the {name} is 0 at the threshold: none of {metric.n} validation images of "
                f"{label} is called so"
            )
    lowest, highest = TEMPERATURES
    if not lowest * (1 + _ON_BOUND) < point.temperature < highest * (1 - _ON_BOUND):
        warnings.append(
            f"the temperature lies on its bound, {point.temperature:g}, so the probabilities are "
            "not calibrated"
        )
    return tuple(warnings)
