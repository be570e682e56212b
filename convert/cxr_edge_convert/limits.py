"""What a conversion may cost and how many images calibrate it; light to import."""

from dataclasses import dataclass

CALIBRATION_IMAGES = 300
# Fewer leave the extremes of many tensors unseen.
MIN_CALIBRATION_IMAGES = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a variant may lose against float, as differences of shares."""

    max_recall_drop: float = 0.01
    max_specificity_drop: float = 0.02
