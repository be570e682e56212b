"""The range of every activation tensor over all calibration images."""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Probe, Ranges
from cxr_edge_train.recipe import Calibration

# Of the histograms behind percentiles: an eighth of an INT8 step of the whole range.
_BINS = 2048
# Steps of an 8-bit integer.
_LARGEST = 255


def activation_ranges(
    probe: Probe,
    pixels: NDArray[np.uint8],
    *,
    scaling: Collection[str],
    calibration: Calibration,
) -> Ranges:
    """Find the range of each tensor; the order of the images changes nothing.

    With the method ``min-max`` no value of any image lies outside. With ``percentile`` at most
    ``100 - percentile`` percent of a tensor's values do, half of them at each end.

    Args:
        probe: the float network.
        pixels: ``[N, H, W, 1] uint8``.
        scaling: tensors whose range holds what grey 0 to 255 gives, whatever greys occur, so that
            no film is clipped; see :func:`cxr_edge_convert.formats.graph.scaling_tensors`.
        calibration: the recipe's method and percentile.

    Returns:
        Widened to the grid of :func:`covering`.
    """
    ranges = _extremes(probe, pixels)
    if calibration.method == "percentile":
        ranges = _percentiles(probe, pixels, ranges, calibration.percentile)
    ramp = np.resize(np.arange(_LARGEST + 1, dtype=np.uint8), pixels.shape[1:])[np.newaxis]
    greys = _extremes(probe, ramp)
    for name in ranges.keys() & scaling:
        # What looks at the film as a whole, as layer normalisation does, goes beyond the ramp.
        (low, high), (first, last) = ranges[name], greys[name]
        ranges[name] = (min(low, first), max(high, last))
    return {name: covering(*limits) for name, limits in ranges.items()}


def covering(low: float, high: float) -> tuple[float, float]:
    """The narrowest range with an integer zero point that holds ``low``, ``high`` and 0.

    Quantizers round the zero point, which would cut off up to half a step at one end.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return low, high
    below = np.arange(_LARGEST + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.fmax(-low / below, high / (_LARGEST - below))
    # A zero point at one end leaves no room on that side.
    scales[0] = scales[0] if low == 0 else np.inf
    scales[-1] = scales[-1] if high == 0 else np.inf
    best = int(np.argmin(scales))
    return float(-below[best] * scales[best]), float((_LARGEST - below[best]) * scales[best])


def _extremes(probe: Probe, pixels: NDArray[np.uint8]) -> Ranges:
    found: Ranges = {}
    for image in pixels:
        for name, values in probe(image[np.newaxis]).items():
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return found


def _percentiles(
    probe: Probe, pixels: NDArray[np.uint8], extremes: Ranges, percentile: float
) -> Ranges:
    counts = {name: np.zeros(_BINS, dtype=np.int64) for name in extremes}
    for image in pixels:
        for name, values in probe(image[np.newaxis]).items():
            low, high = extremes[name]
            if high > low:
                bins = ((values.ravel() - low) * (_BINS / (high - low))).astype(np.int64)
                counts[name] += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)
    tail = (100 - percentile) / 200
    return {name: _within(counts[name], *extremes[name], tail) for name in extremes}


def _within(counts: NDArray[np.int64], low: float, high: float, tail: float) -> tuple[float, float]:
    """The outer edges of the bins that are left when ``tail`` is cut off at either end."""
    total = counts.sum()
    if total == 0:
        return low, high
    edges = np.linspace(low, high, _BINS + 1)
    below = np.concatenate([[0], np.cumsum(counts)])
    first = int(np.flatnonzero(below <= tail * total)[-1])
    last = int(np.flatnonzero(total - below <= tail * total)[0])
    return float(edges[first]), float(edges[last])
