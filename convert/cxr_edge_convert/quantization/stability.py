"""Would other calibration images have given another model?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Ranges
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import FloatBaseline
from cxr_edge_train.dataset.metadata import positives
from cxr_edge_train.statistics.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Stability:
    """Two models that differ only in the images that calibrated them.

    Attributes:
        images: how many calibrated each; none are common.
        range_change: largest relative change of the width of a tensor's range.
        tensor: the tensor that has it.
        auc_change: of the second model less that of the first, on validation.
        flips: validation images whose decision differs.
        warning: in words where they differ by more than a variant may from float, else empty.
    """

    images: int
    range_change: float
    tensor: str
    auc_change: float
    flips: int
    warning: str


def stability(
    reference: FloatBaseline,
    first: tuple[Ranges, NDArray[np.floating]],
    second: tuple[Ranges, NDArray[np.floating]],
    *,
    images: int,
    limits: Limits,
) -> Stability:
    """Compare two calibrations.

    Args:
        reference: the float model, for images and operating point.
        first: ranges and validation logits ``[N]`` of the model that is kept.
        second: of the other.
        images: how many calibrated the second.
        limits: what a variant may lose against float; what two draws may differ by, too.
    """
    (ranges, logits), (other_ranges, other_logits) = first, second
    changes = {
        name: abs((other_ranges[name][1] - other_ranges[name][0]) / (high - low) - 1)
        for name, (low, high) in ranges.items()
        if high > low
    }
    tensor = max(changes, key=lambda name: changes[name])
    one, other = reference.probabilities(logits), reference.probabilities(other_logits)
    flips = int(((one >= reference.threshold) != (other >= reference.threshold)).sum())
    auc_change = _auc(other, reference) - _auc(one, reference)
    allowed_flips = (1 - limits.min_agreement) * len(one)
    differ = abs(auc_change) > limits.max_auc_drop or flips > allowed_flips
    return Stability(
        images=images,
        range_change=changes[tensor],
        tensor=tensor,
        auc_change=auc_change,
        flips=flips,
        warning=(
            "other calibration images give a model that decides differently; use more of them "
            "(--calibration-images) or the percentile method"
            if differ
            else ""
        ),
    )


def _auc(probability: NDArray[np.float64], reference: FloatBaseline) -> float:
    every_image_once = np.ones(len(probability), dtype=np.int64)
    return Ranking(probability, positives(reference.table)).areas(every_image_once)[0]
