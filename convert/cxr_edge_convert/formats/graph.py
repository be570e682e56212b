"""What quantization has to know of a network's graph, whatever its format."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Every activation tensor by name, for one image.
Activations = dict[str, NDArray[np.float32]]
# From an image [1, H, W, 1] uint8 to the activations of a network.
Probe = Callable[[NDArray[np.uint8]], Activations]
# Tensor name -> smallest and largest value that INT8 can express.
Ranges = dict[str, tuple[float, float]]
# Half of what 32 bits hold, so that the products that are added to a bias do not overflow.
_LARGEST_BIAS = 2**30


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a graph; operators are listed in the order in which they run.

    Attributes:
        kind: as the format calls it, for example ``CONV_2D``.
        inputs: names of the activation tensors it reads.
        outputs: names of the tensors it writes; the first names the operator.
        weighted: True for convolutions and matrix products.
        takes_bias: True for those of them whose output a bias of constants is added to, or could
            be.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weighted: bool
    takes_bias: bool = False

    @property
    def name(self) -> str:
        """The name of its first output."""
        return self.outputs[0]


def axes_within_a_channel(values: NDArray[np.float32], channel_axis: int) -> tuple[int, ...]:
    """All axes of a tensor but that of its channels.

    Args:
        values: a tensor.
        channel_axis: of tensors with four axes; the last one of others.
    """
    channels = channel_axis % 4 if values.ndim == 4 else values.ndim - 1
    return tuple(axis for axis in range(values.ndim) if axis != channels)


def scaling_tensors(operators: Sequence[Operator]) -> frozenset[str]:
    """The tensors that no weights have touched yet: the input and what scales it.

    Their range follows from grey 0–255 alone; calibration need not guess it from films.
    """
    reached = {name for operator in operators for name in operator.outputs}
    image = {name for operator in operators for name in operator.inputs} - reached
    found = set(image)
    for operator in operators:
        if not operator.weighted and operator.inputs and set(operator.inputs) <= found:
            found |= set(operator.outputs)
    return frozenset(found)


def output_operators(operators: Sequence[Operator], outputs: Collection[str]) -> frozenset[str]:
    """Names of the operators that make the outputs, a step that only reshapes looked through.

    In float the logit is not confined to 256 steps, and these few operators cost next to nothing.

    Args:
        operators: of the graph.
        outputs: tensor names of the graph's outputs.
    """
    by_output = {name: operator for operator in operators for name in operator.outputs}
    found: set[str] = set()
    wanted = list(outputs)
    while wanted:
        operator = by_output[wanted.pop()]
        found.add(operator.name)
        if operator.kind.lower() in _RESHAPING:
            wanted += [name for name in operator.inputs if name in by_output]
    return frozenset(found)


_RESHAPING = ("reshape", "squeeze", "transpose", "flatten")


def blocks(operators: Sequence[Operator], fixed: Collection[str]) -> list[tuple[str, ...]]:
    """Groups of operators that are kept in float together: one with weights and what follows it.

    Args:
        operators: of the graph.
        fixed: names of operators that are in float anyway.

    Returns:
        Names of operators, group by group in the order of the graph. What comes before the first
        weights is in no group.
    """
    groups: list[list[str]] = []
    for operator in operators:
        if operator.weighted:
            groups.append([])
        if groups and operator.name not in fixed:
            groups[-1].append(operator.name)
    return [tuple(group) for group in groups if group]


def integer_bias(steps: NDArray[np.floating]) -> NDArray[np.int32]:
    """A bias as INT8 operators take it: whole steps of its scale, 32 bits.

    Where all weights of a channel are tiny, so is the scale. What is too large for 32 bits then
    becomes the largest number, not one of the other sign.

    Args:
        steps: the bias ``[C]``, divided by the scale of each channel.

    >>> integer_bias(np.array([1.6, -1e30])).tolist()
    [2, -1073741824]
    """
    whole: NDArray[np.int32] = np.clip(np.rint(steps), -_LARGEST_BIAS, _LARGEST_BIAS).astype(
        np.int32
    )
    return whole
