"""Images that small networks are calibrated on, and the ranges of their tensors over them."""

import numpy as np

from cxr_edge_convert.formats.graph import Ranges, scaling_tensors
from cxr_edge_convert.formats.models import ModelProbe
from cxr_edge_convert.quantization.ranges import activation_ranges
from cxr_edge_train.recipe import Calibration
from synthetic import noisy_gradient

PIXELS = np.stack([noisy_gradient((32, 32), seed) for seed in range(40)])[..., np.newaxis]


def ranges_over(probe: ModelProbe, pixels: np.ndarray = PIXELS) -> Ranges:
    """By the method that a recipe has where it names none."""
    scaling = scaling_tensors(probe.operators)
    return activation_ranges(probe, pixels, scaling=scaling, calibration=Calibration())
