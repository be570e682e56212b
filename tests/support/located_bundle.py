"""Lung locators of three operators that take what is dark for lung, and bundles that have one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle, describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import LOCATOR_VERSION, GateLimits, LocatorEntry
from cxr_edge_runtime.preprocess import (
    LOCATOR_CELLS,
    LOCATOR_SIDE,
    LUNG_BOX_VERSION,
    PreprocessSpec,
)

FILE = "locator.tflite"
# Of drawn films: lungs have the first grey, all else the second.
LUNG, FLESH = 40, 180
# A cell of grey g has the logit (110 - g) / 2, unless told otherwise.
_GAIN, _OFFSET = -0.5, 55.0


def drawn_film(
    *lungs: tuple[int, int, int, int], size: tuple[int, int] = (256, 256)
) -> NDArray[np.uint8]:
    """A film ``[H, W] uint8`` for ``size = (width, height)`` with dark rectangles.

    Args:
        lungs: left, top, right and bottom of each, in pixels.
        size: of the film; with 256 x 256 pixels a cell of the mask has eight along a side.
    """
    pixels = np.full(size[::-1], FLESH, np.uint8)
    for left, top, right, bottom in lungs:
        pixels[top:bottom, left:right] = LUNG
    return pixels


# Both lungs: columns 6 to 13 and 18 to 25, rows 8 to 23.
TWO_LUNGS = ((48, 64, 112, 192), (144, 64, 208, 192))


def locator_model(
    gain: float = _GAIN,
    offset: float | NDArray[np.float32] = _OFFSET,
    *,
    cells: int = LOCATOR_CELLS,
    output: str = "mask",
) -> bytes:
    """A TFLite file: the mean grey of each cell times ``gain``, plus ``offset``.

    Args:
        gain: 0 for a mask that is the same whatever the film shows.
        offset: one for all cells, or ``[32, 32] float32``.
        cells: along a side of the mask; 32 in the contract.
        output: its name.
    """
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []

    def tensor(
        name: str, shape: tuple[int, ...], content: NDArray[np.float32] | None = None
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name.encode(), list(shape), schema.TensorType.FLOAT32
        made.buffer = 0
        if content is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content.astype(np.float32).tobytes(), np.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    mask = (1, cells, cells, 1)
    factor = np.full((1, 1, 1, 1), gain)
    addend = np.broadcast_to(np.asarray(offset), (cells, cells)).reshape(mask)
    image = tensor("image", (1, LOCATOR_SIDE, LOCATOR_SIDE, 1))
    means, scaled, logits = (tensor(name, mask) for name in ("means", "scaled", output))
    kinds, options = schema.BuiltinOperator, schema.BuiltinOptions
    pool = schema.Pool2DOptionsT()
    pool.padding = schema.Padding.VALID
    pool.strideH = pool.strideW = pool.filterHeight = pool.filterWidth = LOCATOR_SIDE // cells
    steps = (
        (kinds.AVERAGE_POOL_2D, options.Pool2DOptions, pool, (image,), means),
        (kinds.MUL, options.MulOptions, schema.MulOptionsT(),
         (means, tensor("factor", (1, 1, 1, 1), factor)), scaled),
        (kinds.ADD, options.AddOptions, schema.AddOptionsT(),
         (scaled, tensor("addend", mask, addend)), logits),
    )  # fmt: skip
    model.operatorCodes, graph.operators = [], []
    for number, (kind, option, values, inputs, result) in enumerate(steps):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = number, list(inputs), [result]
        operator.builtinOptionsType, operator.builtinOptions = option, values
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [image], [logits]
    model.subgraphs = [graph]
    model.signatureDefs = [_signature({"image": image}, {output: logits})]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _signature(inputs: dict[str, int], outputs: dict[str, int]) -> Any:
    def maps(tensors: dict[str, int]) -> list[Any]:
        made = []
        for name, index in tensors.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), index
            made.append(entry)
        return made

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = maps(inputs), maps(outputs)
    return signature


def located_bundle(
    folder: Path, model: bytes | None = None, *, margin: float = 1.2, is_gated: bool = True
) -> Path:
    """Copy the bundle ``tiny`` with a locator and preprocessing of version 2.

    Args:
        folder: the folder to make.
        model: the locator; by default :func:`locator_model`.
        margin: of the box that the classifier is shown.
        is_gated: with limits on the distance that let every film pass, rather than without a gate.
    """
    tiny = Bundle.load(cxr_edge_models.path("tiny"))
    contents = {name: tiny.read(name) for name in tiny.manifest.files}
    contents[FILE] = locator_model() if model is None else model
    manifest = replace(
        tiny.manifest,
        preprocess=PreprocessSpec.of_version(
            LUNG_BOX_VERSION, size=tiny.manifest.preprocess.height
        ),
        locator=LocatorEntry(FILE, LOCATOR_VERSION, margin),
        gate=GateLimits(1e6, 1e6) if is_gated else None,
        files=describe_files(contents),
    )
    write_bundle(folder, manifest, contents)
    return folder
