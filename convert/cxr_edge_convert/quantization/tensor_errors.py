"""How far the tensors of an INT8 model are from float, operator by operator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Activations, Operator, Probe, axes_within_a_channel

# A channel whose variance is a smaller share of its mean square is constant up to rounding.
_LIVE = 1e-8


@dataclass(frozen=True, slots=True)
class TensorError:
    """The error of an operator's output.

    Attributes:
        operator: name of its first output.
        kind: the operator's kind.
        error: mean over the channels of squared error by variance; 0 is exact, 1 is no better than
            the mean.
        added: by how much it is larger than that of its worst input.
    """

    operator: str
    kind: str
    error: float
    added: float


def tensor_errors(
    float_probe: Probe,
    int8_probe: Probe,
    operators: Sequence[Operator],
    pixels: NDArray[np.uint8],
    *,
    channel_axis: int,
) -> list[TensorError]:
    """Compare each tensor of both models, in one pass over some images.

    Each channel is measured against its own variance: a channel with huge values takes the steps
    from all others, and only their own scale shows it.

    Args:
        float_probe: of the float model.
        int8_probe: of the INT8 model, whose tensors have the same names.
        operators: of the float model.
        pixels: ``[N, H, W, 1] uint8``.
        channel_axis: of tensors with four axes; the last one of others.

    Returns:
        In the order of the operators, without those whose tensor the INT8 model does not have.
    """
    sums: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    for image in pixels:
        before, after = float_probe(image[np.newaxis]), int8_probe(image[np.newaxis])
        for name in before.keys() & after.keys():
            moments, count = _moments(before, after, name, channel_axis)
            sums[name] = sums.get(name, 0) + moments
            counts[name] = counts.get(name, 0) + count
    errors = {name: _relative(sums[name] / counts[name]) for name in sums}
    found: list[TensorError] = []
    for operator in operators:
        worst = max((errors.get(name, 0.0) for name in operator.inputs), default=0.0)
        if operator.name in sums:
            error = errors[operator.name]
            found.append(TensorError(operator.name, operator.kind, error, max(0.0, error - worst)))
        # What the INT8 model has fused away is as wrong as what it was made from.
        errors.setdefault(operator.name, worst)
    return found


def _moments(
    before: Activations, after: Activations, name: str, channel_axis: int
) -> tuple[NDArray[np.float64], int]:
    """Sums of values, squares and squared errors ``[3, C]`` of a tensor, and values a channel."""
    axes = axes_within_a_channel(before[name], channel_axis)
    values, quantized = before[name].astype(np.float64), after[name].astype(np.float64)
    squares = (values**2).sum(axis=axes)
    errors = ((quantized - values) ** 2).sum(axis=axes)
    moments = np.stack([values.sum(axis=axes), squares, errors])
    return moments, values.size // moments.shape[1]


def _relative(means: NDArray[np.float64]) -> float:
    mean, square, error = means
    variance = square - mean**2
    live = variance > _LIVE * square
    return float((error[live] / variance[live]).clip(max=1.0).mean()) if live.any() else 0.0
