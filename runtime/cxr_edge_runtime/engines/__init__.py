"""Inference engines behind one interface."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import InputEntry
from cxr_edge_runtime.errors import EngineError, InvalidRequest

Outputs = dict[str, NDArray[np.float32]]

# The packages that run a model of each format, the preferred one first.
ENGINES = {"tflite": ("ai-edge-litert", "tflite-runtime"), "onnx": ("onnxruntime",)}


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


def open_engine(bundle: Bundle, *, threads: int = 1, engine: str | None = None) -> Engine:
    """Load the bundle's model into an engine for its format.

    Args:
        bundle: a loaded bundle.
        threads: threads of the engine.
        engine: one of :data:`ENGINES` of the format; the first that is installed if None.

    Raises:
        InvalidRequest: there is no engine of that name.
        EngineMissing: no such engine is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    manifest = bundle.manifest
    return open_model(
        bundle.model,
        manifest.model.format,
        manifest.input,
        manifest.outputs,
        threads=threads,
        engine=engine,
    )


def open_model(
    model: bytes,
    format: str,
    entry: InputEntry,
    outputs: tuple[str, ...],
    *,
    threads: int = 1,
    engine: str | None = None,
) -> Engine:
    """Load a model that is in no bundle yet.

    Args:
        model: bytes of the file.
        format: ``tflite`` or ``onnx``.
        entry: what its input must be.
        outputs: which outputs it must have.
        threads: threads of the engine.
        engine: see :func:`open_engine`.

    Raises:
        InvalidRequest: there is no engine of that name.
        EngineMissing: no such engine is installed.
        EngineError: the engine does not take the model, or the model breaks the contract.
    """
    known = [name for names in ENGINES.values() for name in names]
    if engine is not None and engine not in known:
        raise InvalidRequest(f"--engine {engine}: no such engine; known are {', '.join(known)}")
    if engine is not None and engine not in ENGINES[format]:
        raise EngineError(
            f"{engine} runs no {format} model; {format} is run by {' and '.join(ENGINES[format])}"
        )
    if format == "onnx":
        from cxr_edge_runtime.engines.onnx import OnnxEngine

        return OnnxEngine(model, entry, outputs, threads=threads)
    from cxr_edge_runtime.engines.litert import LiteRtEngine

    names = ENGINES["tflite"] if engine is None else (engine,)
    return LiteRtEngine(model, entry, outputs, threads=threads, names=names)


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
    shape = outputs["logit"][0]
    if shape != (1, 1):
        raise EngineError(f"the model's logit has shape {list(shape)}, not [1, 1]")


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
