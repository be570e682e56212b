"""Inference engines behind one interface."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import EngineError
from cxr_edge_runtime.manifest import InputEntry

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
            ``logit [1, 1]`` and, where the model gives them, ``cam [1, h, w, 1]`` and
            ``embedding [1, C]``, all float32.
        """
        ...


def open_engine(bundle: Bundle, *, threads: int = 1) -> Engine:
    """Load the bundle's model into the engine for its format.

    Raises:
        EngineMissing: no engine for the format is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    manifest = bundle.manifest
    return open_model(
        bundle.model, manifest.model.format, manifest.input, manifest.outputs, threads=threads
    )


def open_model(
    model: bytes, format: str, entry: InputEntry, outputs: tuple[str, ...], *, threads: int = 1
) -> Engine:
    """Load a model that is in no bundle yet.

    Args:
        model: bytes of the file.
        format: ``tflite`` or ``onnx``.
        entry: what its input must be.
        outputs: which outputs it must have.
        threads: threads of the engine.

    Raises:
        EngineMissing: no engine for the format is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    if format == "onnx":
        from cxr_edge_runtime.engines.onnx import OnnxEngine

        return OnnxEngine(model, entry, outputs, threads=threads)
    from cxr_edge_runtime.engines.litert import LiteRtEngine

    return LiteRtEngine(model, entry, outputs, threads=threads)


def to_stored(image: NDArray[np.uint8], entry: InputEntry) -> NDArray[np.float32 | np.int8]:
    """Grey values as the model's input tensor stores them; the contract's scale is 1."""
    if entry.dtype == "int8":
        return (image.astype(np.int16) + entry.zero_point).astype(np.int8)
    return image.astype(np.float32)


def check_signature(inputs: set[str], outputs: set[str], stated: tuple[str, ...]) -> None:
    """Compare a model's names with what is stated of it.

    Raises:
        EngineError: they differ.
    """
    if inputs != {"image"} or outputs != set(stated):
        raise EngineError(
            f"the model's signature is {sorted(inputs)} -> {sorted(outputs)}, "
            f"expected ['image'] -> {sorted(stated)}"
        )


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
