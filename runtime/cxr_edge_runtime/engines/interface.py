"""What every engine must do, and what its model is compared with."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.manifest import InputEntry
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.preprocess import LOCATOR_CELLS

# The shapes of the outputs that have one whatever the model.
_SHAPES = {"logit": (1, 1), "mask": (1, LOCATOR_CELLS, LOCATOR_CELLS, 1)}

Outputs = dict[str, NDArray[np.float32]]


class Engine(Protocol):
    """A loaded model."""

    name: str
    """The package that runs the model, for example ``ai-edge-litert``."""

    @property
    def kernels(self) -> str:
        """What computes inside the engine, in words, for example ``XNNPACK``."""
        ...

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the model on ``[1, H, W, 1] uint8`` grey values.

        Returns:
            All float32: of a classifier ``logit [1, 1]`` and, where the model gives them,
            ``cam [1, h, w, 1]`` and ``embedding [1, C]``; of a lung locator
            ``mask [1, 32, 32, 1]``.
        """
        ...


def to_stored(image: NDArray[np.uint8], entry: InputEntry) -> NDArray[np.float32 | np.int8]:
    """Grey values as the model's input tensor stores them; the contract's scale is 1."""
    if entry.dtype == "int8":
        return (image.astype(np.int16) + entry.zero_point).astype(np.int8)
    return image.astype(np.float32)


def check_names(
    inputs: set[str],
    outputs: Mapping[str, tuple[tuple[int, ...], str]],
    stated: tuple[str, ...],
) -> None:
    """Compare a model's inputs and outputs with the contract and with what is stated of it.

    Args:
        inputs: their names.
        outputs: shape and dtype of each by name.
        stated: the names that the outputs must have.

    Raises:
        EngineError: they differ.
    """
    if inputs != {"image"} or set(outputs) != set(stated):
        raise EngineError(
            f"the model's signature is {sorted(inputs)} -> {sorted(outputs)}, "
            f"expected ['image'] -> {sorted(stated)}"
        )
    if any(dtype != "float32" for _, dtype in outputs.values()):
        raise EngineError("the model's outputs are not all float32")
    for name in _SHAPES.keys() & outputs.keys():
        shape, expected = outputs[name][0], _SHAPES[name]
        if shape != expected:
            raise EngineError(f"the model's {name} has shape {list(shape)}, not {list(expected)}")
    if "cam" in outputs:
        cam = outputs["cam"][0]
        if len(cam) != 4 or cam[0] != 1 or cam[3] != 1:
            raise EngineError(f"the model's cam has shape {list(cam)}, not [1, h, w, 1]")


def check_input(
    shape: tuple[int, ...], dtype: str, scale: float, zero_point: int, entry: InputEntry
) -> None:
    """Compare a model's input with what the manifest states.

    Raises:
        EngineError: they differ.
    """
    found = (shape, dtype, scale, zero_point)
    stated = (entry.shape, entry.dtype, entry.scale, entry.zero_point)
    if found != stated:
        raise EngineError(f"the model's input is {found}, the manifest states {stated}")
