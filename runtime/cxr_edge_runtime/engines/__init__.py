"""Inference engines behind one interface."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.manifest import InputEntry

Outputs = dict[str, NDArray[np.float32]]

# Present in every model of the contract; read by name, never by position.
OUTPUTS = ("cam", "logit", "embedding")


class Engine(Protocol):
    """A loaded model."""

    name: str
    """The package that runs the model, for example ``ai-edge-litert``."""

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the model on ``[1, H, W, 1] uint8`` grey values.

        Returns:
            ``cam [1, h, w, 1]``, ``logit [1, 1]`` and ``embedding [1, C]``, all float32.
        """
        ...


def open_engine(bundle: Bundle, *, threads: int = 1) -> Engine:
    """Load the bundle's model into the engine for its format.

    Raises:
        EngineMissing: no engine for the format is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    manifest = bundle.manifest
    if manifest.model.format != "tflite":
        raise EngineError(f"{bundle.path}: no engine for models of format {manifest.model.format}")
    from cxr_edge_runtime.engines.litert import LiteRtEngine

    return LiteRtEngine(bundle.model, manifest.input, threads=threads)


def to_stored(image: NDArray[np.uint8], entry: InputEntry) -> NDArray[np.float32 | np.int8]:
    """Grey values as the model's input tensor stores them; the contract's scale is 1."""
    if entry.dtype == "int8":
        return (image.astype(np.int16) + entry.zero_point).astype(np.int8)
    return image.astype(np.float32)
