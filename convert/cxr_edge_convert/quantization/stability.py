"""Whether other calibration images would have given another model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Ranges
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline
from cxr_edge_runtime.counting import counted
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.statistics.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Stability:
    """Two models that differ only in the images that calibrated them.

    Attributes:
        images: how many images calibrated the second model; the two sets have none in common.
        range_change: the largest relative change of the width of a tensor's range.
        tensor: the name of the tensor whose range changes most.
        auc_change: the AUC of the second model less that of the first, on validation.
        flips: the number of validation images whose prediction differs.
        warning: what to do where the models differ by more than a variant may differ from the
            float model; empty otherwise.
    """

    images: int
    range_change: float
    tensor: str
    auc_change: float
    flips: int
    warning: str


def stability(
    baseline: FloatBaseline,
    first: tuple[Ranges, NDArray[np.floating]],
    second: tuple[Ranges, NDArray[np.floating]],
    *,
    images: int,
    limits: Limits,
) -> Stability:
    """Compare the models of two calibration sets.

    Args:
        baseline: the float model, whose images and operating point are used.
        first: the ranges and the validation logits ``[N]`` of the model that is kept.
        second: the ranges and the validation logits ``[N]`` of the other model.
        images: how many images calibrated the second model.
        limits: how much a variant may differ from the float model; two calibrations may differ by
            as much.
    """
    (ranges, logits), (other_ranges, other_logits) = first, second
    changes = {
        name: abs((other_ranges[name][1] - other_ranges[name][0]) / (high - low) - 1)
        for name, (low, high) in ranges.items()
        if high > low
    }
    tensor = max(changes, key=lambda name: changes[name])
    one, other = baseline.probabilities(logits), baseline.probabilities(other_logits)
    flips = int(((one >= baseline.threshold) != (other >= baseline.threshold)).sum())
    auc_change = _auc(other, baseline) - _auc(one, baseline)
    allowed = (1 - limits.min_agreement) * len(one)
    changed = []
    if abs(auc_change) > limits.max_auc_drop:
        changed.append(f"the AUC by {auc_change:+.4f} (limit {limits.max_auc_drop:g})")
    if flips > allowed:
        changed.append(f"{flips} of {counted(len(one), 'prediction')} (limit {allowed:.0f})")
    return Stability(
        images=images,
        range_change=changes[tensor],
        tensor=tensor,
        auc_change=auc_change,
        flips=flips,
        warning=(
            f"other calibration images change {' and '.join(changed)}; use more calibration images "
            "or the percentile method"
            if changed
            else ""
        ),
    )


def _auc(probability: NDArray[np.float64], baseline: FloatBaseline) -> float:
    every_image_once = np.ones(len(probability), dtype=np.int64)
    return Ranking(probability, positives(baseline.table)).areas(every_image_once)[0]
