"""Keras to ONNX through tf2onnx, INT8 through ONNX Runtime's quantizer.

The one module that knows either of them.
"""

import warnings
from collections.abc import Collection
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from cxr_edge_convert.formats.graph import Ranges, output_operators, scaling_tensors
from cxr_edge_convert.formats.onnx_graph import WEIGHTED, operators
from cxr_edge_convert.formats.onnx_names import name_canonically
from cxr_edge_convert.formats.scratch import scratch_folder
from cxr_edge_runtime.errors import ConversionError
from cxr_edge_runtime.native_output import stderr_silenced

# Per-channel QDQ needs 13; 17 is read by every ONNX Runtime since 1.12.
OPSET = 17
# The oldest file format that holds this opset.
_IR_VERSION = 8

# Which activations each target multiplies fast; weights are signed for both.
_ACTIVATIONS = {"arm64": QuantType.QInt8, "x86": QuantType.QUInt8}
# What the quantizer may put between INT8 tensors; others stay in float.
_QUANTIZED = (
    *WEIGHTED, "Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "MaxPool", "Mul",
    "Pad", "Relu", "Reshape", "Squeeze", "Transpose",
)  # fmt: skip


def to_float32(model: keras.Model) -> bytes:
    """Convert a model of the contract to ONNX, batch size 1, batch normalisation folded.

    Args:
        model: input ``image``, outputs by name.

    Returns:
        The file. The same model gives the same bytes, whatever else the process has done.

    Raises:
        ConversionError: the model has an operation that tf2onnx cannot express.
    """
    shape = (1, *model.inputs[0].shape[1:])
    image = keras.InputSpec(shape=shape, dtype="float32", name="image")
    model({"image": np.zeros(shape, dtype=np.float32)})  # exporting needs a model that was called
    with scratch_folder() as folder, stderr_silenced(), warnings.catch_warnings():
        # tf2onnx looks whether numpy still has an old name.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        file = folder / "model.onnx"
        try:
            model.export(
                file,
                format="onnx",
                verbose=False,
                input_signature=[{"image": image}],
                opset_version=OPSET,
            )
            exported = onnx.load(file)
            name_canonically(exported.graph)
            for value in (*exported.graph.input, *exported.graph.output):
                value.type.tensor_type.shape.dim[0].dim_value = 1
            folded = _folded(exported)
            name_canonically(folded.graph)
            return _finished(folded)
        except Exception as error:  # tf2onnx, ONNX Runtime and onnx have errors of their own
            raise ConversionError(_inexpressible(str(error), model)) from error


def to_int8(
    float32: bytes, ranges: Ranges, *, target: str, in_float: Collection[str] = ()
) -> bytes:
    """Quantize weights per channel and activations per tensor; scaling and head stay in float.

    Weights have 7 bits, or as many more as keep every product exact on every processor.

    Args:
        float32: from :func:`to_float32`.
        ranges: of every activation tensor, by the names of
            :class:`cxr_edge_convert.formats.onnx_graph.OnnxProbe`.
        target: ``arm64`` or ``x86``.
        in_float: names of more operators that stay in float.

    Returns:
        The file, with quantize and dequantize nodes between operators (QDQ). The same arguments
        give the same bytes.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(float32))
    listed = operators(model.graph)
    outputs = [value.name for value in model.graph.output]
    scaling = scaling_tensors(listed)
    kept = output_operators(listed, outputs) | scaling | set(in_float)
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=True,  # where nothing else is said below
        weight_qType=QuantType.QInt8,
        activation_qType=_ACTIVATIONS[target],
        tensors_range=TensorsData(
            CalibrationMethod.MinMax,
            {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()},
        ),
        nodes_to_quantize=[],
        nodes_to_exclude=[node.name for node in model.graph.node if node.output[0] in kept],
        op_types_to_quantize=list(_QUANTIZED),
        extra_options={
            "ActivationSymmetric": False,
            "WeightSymmetric": True,
            "TensorQuantOverrides": _exact_on_x86(model),
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return _finished(quantizer.model.model)


def _exact_on_x86(model: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """Ranges of weights whose products with bytes overflow on no processor, by their names.

    On x86 without VNNI, ONNX Runtime adds two neighbouring products in 16 bits, so that no two
    neighbouring weights of one sign may add up to more than 128. With 7 bits none do. Of a 1x1
    convolution it is known which ones are neighbours, and its scale only becomes as coarse as they
    need. Depthwise convolutions are added in 32 bits.
    """
    constants = {constant.name: constant for constant in model.graph.initializer}
    ranges: dict[str, list[dict[str, Any]]] = {}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in constants:
            continue
        weights = onnx.numpy_helper.to_array(constants[node.input[1]])
        group = next((value.i for value in node.attribute if value.name == "group"), 1)
        if group > 1 and weights.shape[:2] == (group, 1):
            ranges[node.input[1]] = [{"axis": 0, "reduce_range": False}]
        elif group == 1 and weights.shape[2:] == (1, 1):
            ranges[node.input[1]] = [
                {"axis": 0, "reduce_range": False, "rmin": -limit, "rmax": limit}
                for limit in _neighbour_limits(weights[:, :, 0, 0])
            ]
    return ranges


def _neighbour_limits(weights: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """The largest weight ``[]`` or sum of two neighbours of one sign, by output channel.

    Args:
        weights: ``[N, C]``, output channels first.
    """
    padded = np.pad(weights, ((0, 0), (0, weights.shape[1] % 2)))
    pairs = padded.reshape(len(weights), -1, 2)
    sums = np.maximum(pairs.clip(0).sum(axis=2), (-pairs).clip(0).sum(axis=2)).max(axis=1)
    return [np.array(limit, dtype=np.float32) for limit in sums]


def with_metadata(model: bytes, entries: dict[str, str]) -> bytes:
    """The model with ``entries`` in its ``metadata_props``."""
    content = onnx.load_from_string(model)
    onnx.helper.set_model_props(content, entries)
    return bytes(content.SerializeToString(deterministic=True))


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with constants computed and batch normalisation folded into convolutions."""
    with scratch_folder() as folder:
        file = folder / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # it warns that the file is made for this machine's level
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return onnx.load(file)


def _inexpressible(message: str, model: keras.Model) -> str:
    """What to tell the user of the libraries' pages."""
    lines = message.strip().splitlines() or ["for no stated reason"]
    named = [layer.name for layer in model._flatten_layers() if layer.name in message]
    where = f" in layer {max(named, key=len)!r}" if named else ""
    return (
        f"ONNX cannot express the model{where} ({lines[0][:200]}); replace the layer by one that "
        "ONNX supports, or convert to TFLite instead"
    )


def _finished(model: onnx.ModelProto) -> bytes:
    """Checked bytes that do not depend on who wrote them."""
    model.producer_name, model.producer_version = "cxr-edge", ""
    model.ir_version = _IR_VERSION
    model.graph.name, model.graph.doc_string = "cxr-edge", ""  # they name a temporary folder
    used = {node.domain for node in model.graph.node}
    opsets = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(e.domain, e.version) for e in opsets)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
