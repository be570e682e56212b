"""Biases that undo the mean shift which rounding weights gives to each channel."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Probe, axes_within_a_channel
from cxr_edge_train.progress import ProgressFactory, no_progress

# Operator -> what is taken from its bias, a number a channel.
Corrections = dict[str, NDArray[np.float32]]


def bias_corrections(
    float_probe: Probe,
    int8_probe: Callable[[Mapping[str, NDArray[np.float32]], Collection[str]], Probe],
    blocks: Sequence[tuple[str, ...]],
    pixels: NDArray[np.uint8],
    *,
    channel_axis: int,
    progress: ProgressFactory = no_progress,
) -> Corrections:
    """Correct one operator after the other, each with those before it corrected already.

    Rounded weights shift the mean of a channel, most in depthwise convolutions, whose channels
    have few weights; the mean over calibration images is put back (Nagel et al. 2019,
    "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2, with
    images). All at once would correct each operator also for the shifts of those before it.
    An operator without a bias stays as it is.

    Args:
        float_probe: of the float model.
        int8_probe: of the INT8 model with these corrections; it shows these tensors alone.
        blocks: operators with biases, each with what follows it; see
            :func:`cxr_edge_convert.formats.graph.blocks`.
        pixels: calibration images ``[N, H, W, 1] uint8``.
        channel_axis: of tensors with four axes; the last one of others.
        progress: shows how many operators were corrected.
    """
    wanted = _channel_means(float_probe, pixels, channel_axis)
    corrections: Corrections = {}
    for block in progress("quantizing")(blocks, len(blocks)):
        found = _channel_means(int8_probe(corrections, block), pixels, channel_axis)
        # What the INT8 model fuses into the operator is compared in its place.
        seen = next((name for name in block if name in found), None)
        if seen is not None:
            corrections[block[0]] = (found[seen] - wanted[seen]).astype(np.float32)
    return corrections


def _channel_means(
    probe: Probe, pixels: NDArray[np.uint8], channel_axis: int
) -> dict[str, NDArray[np.float64]]:
    sums: dict[str, NDArray[np.float64]] = {}
    for image in pixels:
        for name, values in probe(image[np.newaxis]).items():
            axes = axes_within_a_channel(values, channel_axis)
            sums[name] = sums.get(name, 0) + values.mean(axis=axes, dtype=np.float64)
    return {name: total / len(pixels) for name, total in sums.items()}
