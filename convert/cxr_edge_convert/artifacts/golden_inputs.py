"""Inputs that tell whether a device computes what was verified here.

They lie on the line through the means of the two labels' training films, beyond them too: a mean of
many films shows no patient, and along that line the probability goes from one side of the threshold
to the other.
"""

import importlib.metadata
import platform
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.device.selftest import MAX_SHIFT, GoldenInputs, logit_of
from cxr_edge_runtime.engines import Engine
from cxr_edge_train.statistics.operating_point import OperatingPoint

# Steps along the line: 0 is the mean of normal films, 1 that of pneumonia. Finer ones would come
# nearer to the threshold, where two versions of an engine were measured to differ by up to 0.12.
_STEPS = np.linspace(-4, 5, 91)
# Near the threshold, yet beyond what a healthy device may move a probability by.
_NEAR = 1.2 * MAX_SHIFT


def label_means(films: NDArray[np.uint8], labels: Sequence[str]) -> NDArray[np.float64]:
    """The mean film ``[2, H, W]`` of each label, NORMAL first, of films ``[N, H, W, 1] uint8``."""
    is_positive = np.asarray([label == "PNEUMONIA" for label in labels])
    return np.stack([films[is_positive == which, :, :, 0].mean(axis=0) for which in (False, True)])


def golden_inputs(
    engine: Engine, means: NDArray[np.float64], operating_point: OperatingPoint
) -> GoldenInputs:
    """Choose inputs and record the probabilities that the engine gives for them.

    Args:
        engine: the variant.
        means: from :func:`label_means`.
        operating_point: the temperature, the bias and the threshold of the bundle.

    Returns:
        The inputs with the lowest and the highest probability, and on each side of the threshold
        the nearest one that a healthy device cannot move across it. There are fewer where the line
        does not cross the threshold.
    """
    normal, pneumonia = means
    line = normal + _STEPS[:, np.newaxis, np.newaxis] * (pneumonia - normal)
    inputs = np.clip(np.round(line), 0, 255).astype(np.uint8)
    threshold = operating_point.threshold
    probabilities = operating_point.probabilities(
        np.array([logit_of(engine, image) for image in inputs])
    )
    chosen = [int(probabilities.argmin()), int(probabilities.argmax())]
    for side, room in (
        (threshold - probabilities, threshold),
        (probabilities - threshold, 1 - threshold),
    ):
        # Towards 0 and 1 a probability moves by less.
        safe = np.flatnonzero(side >= min(_NEAR, room / 2))
        if len(safe):
            chosen.append(int(safe[side[safe].argmin()]))
    kept = sorted(set(chosen))
    version = importlib.metadata.version(engine.name)
    return GoldenInputs(
        inputs[kept],
        probabilities[kept].astype(np.float32),
        f"{engine.name} {version}, {engine.kernels}, {platform.machine()}",
    )
