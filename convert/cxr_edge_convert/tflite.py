"""Keras to TFLite: float32 through TensorFlow's converter, the rest through ai-edge-quantizer.

The one module that knows either of them.
"""

import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import algorithm_manager, qtyping, quantizer, recipe, recipe_manager
from numpy.typing import NDArray

from cxr_edge_convert.graphs import Activations, Operator, output_operators
from cxr_edge_convert.ranges import Ranges
from cxr_edge_runtime.errors import ConversionError
from cxr_edge_runtime.native_output import stderr_silenced

_SIGNATURE = "serving_default"
# Which input of an operator with weights is its bias; one kind has none.
_BIAS_INPUT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_WEIGHTED = (*_BIAS_INPUT, "BATCH_MATMUL")
_EVERY = qtyping.TFLOperationName.ALL_SUPPORTED
_LEFT_ALONE = algorithm_manager.AlgorithmName.NO_QUANTIZE


def to_float32(model: keras.Model) -> bytes:
    """Convert a model of the contract to TFLite, batch size 1, weights as they are.

    Args:
        model: input ``image``, outputs by name.

    Returns:
        The flatbuffer; its signature names input and outputs. The same model gives the same bytes.

    Raises:
        ConversionError: the model has an operation that TFLite cannot express.
    """
    shape = (1, *model.inputs[0].shape[1:])

    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor] = model({"image": image}, training=False)
        return outputs

    with tempfile.TemporaryDirectory() as folder, stderr_silenced():
        # Of the ways to TFLite this one freezes Keras 3 variables and keeps the signature's names.
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(
            _SIGNATURE,
            serve,
            input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
        )
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        try:
            return bytes(converter.convert())
        except Exception as error:  # its error class is private
            layers = {layer.name for layer in model._flatten_layers()}
            raise ConversionError(_inexpressible(str(error), layers)) from error


def to_float16(float32: bytes) -> bytes:
    """Store weights in 16 bits; computing stays in float32."""
    manager = recipe_manager.RecipeManager()
    manager.add_weight_only_config(
        ".*", _EVERY, num_bits=16, algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING
    )
    return _quantized(float32, manager.get_quantization_recipe())


def to_dynamic(float32: bytes) -> bytes:
    """Quantize weights per channel to INT8; activations are quantized anew for each image."""
    return _quantized(float32, recipe.dynamic_wi8_afp32())


def to_int8(float32: bytes, ranges: Ranges, *, in_float: Collection[str] = ()) -> bytes:
    """Quantize weights per channel and activations per tensor to INT8; the head stays in float.

    Args:
        float32: from :func:`to_float32`.
        ranges: of every activation tensor, by the names of :class:`TfliteProbe`.
        in_float: names of more operators that stay in float.

    Returns:
        The flatbuffer, input INT8 with scale 1 and zero point -128, outputs float32. The same
        arguments give the same bytes.
    """
    probe = TfliteProbe(float32)
    head = output_operators(probe.operators, probe.outputs)
    limits = {
        name: {"min": _scalar(low, probe.ranks[name]), "max": _scalar(high, probe.ranks[name])}
        for name, (low, high) in ranges.items()
    }
    return _quantized(float32, recipe.static_wi8_ai8(), limits, [*sorted(head), *sorted(in_float)])


def with_biases(float32: bytes, corrections: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The model with numbers taken from the biases of some operators, a number a channel."""
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(float32))
    graph = content.subgraphs[0]
    kinds = _kinds(content)
    readers = Counter(int(tensor) for operator in graph.operators for tensor in operator.inputs)
    holders = Counter(tensor.buffer for tensor in graph.tensors)
    for operator in graph.operators:
        name = graph.tensors[operator.outputs[0]].name.decode()
        if name not in corrections:
            continue
        place = _BIAS_INPUT[kinds[operator.opcodeIndex]]
        # An operator without a bias ends before it, or has -1 there.
        bias = int(operator.inputs[place]) if place < len(operator.inputs) else -1
        before = _constant(content, bias) if bias >= 0 else np.float32(0)
        # The converter lets operators share equal constants; then this one gets its own.
        if bias < 0 or readers[bias] > 1 or holders[graph.tensors[bias].buffer] > 1:
            bias = _add_constant(content, f"{name}/corrected_bias")
            operator.inputs = [*operator.inputs[:place], bias, *operator.inputs[place + 1 :]]
        after = (before - corrections[name]).astype(np.float32)
        graph.tensors[bias].shape = [len(after)]
        buffer = content.buffers[graph.tensors[bias].buffer]
        buffer.data = np.frombuffer(after.tobytes(), np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def _constant(content: Any, tensor: int) -> NDArray[np.float32]:
    buffer = content.buffers[content.subgraphs[0].tensors[tensor].buffer]
    return np.frombuffer(bytes(buffer.data), np.float32)


def _add_constant(content: Any, name: str) -> int:
    """Put an empty float tensor into the model; its place."""
    content.buffers.append(flatbuffer_utils.schema_fb.BufferT())
    tensor = flatbuffer_utils.schema_fb.TensorT()
    tensor.name, tensor.buffer = name.encode(), len(content.buffers) - 1
    tensor.type = flatbuffer_utils.schema_fb.TensorType.FLOAT32
    content.subgraphs[0].tensors.append(tensor)
    return len(content.subgraphs[0].tensors) - 1


class TfliteProbe:
    """All activations of a TFLite model, dequantized where they are INT8.

    Attributes:
        operators: of the graph, in the order in which they run.
        outputs: tensor names of the outputs.
        ranks: number of axes of each activation tensor.
    """

    def __init__(self, model: bytes) -> None:
        """Load a model from the bytes of its file."""
        with stderr_silenced(), warnings.catch_warnings():
            # LiteRT warns that keeping all tensors costs memory; that is what is wanted here.
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter = Interpreter(
                model_content=model, num_threads=1, experimental_preserve_all_tensors=True
            )
            self._interpreter.allocate_tensors()
        self._runner = self._interpreter.get_signature_runner()
        self._offset = int(self._runner.get_input_details()["image"]["quantization"][1])
        self._dtype = self._runner.get_input_details()["image"]["dtype"]
        self.operators = operators(model)
        activations = {name for operator in self.operators for name in operator.inputs}
        activations |= {name for operator in self.operators for name in operator.outputs}
        self._details = {
            details["name"]: details
            for details in self._interpreter.get_tensor_details()
            if details["name"] in activations
        }
        self.outputs = [details["name"] for details in self._interpreter.get_output_details()]
        self.ranks = {name: len(details["shape"]) for name, details in self._details.items()}

    def __call__(self, image: NDArray[np.uint8]) -> Activations:
        """Run ``[1, H, W, 1] uint8``; see :data:`cxr_edge_convert.graphs.Probe`."""
        self._runner(image=(image.astype(np.int16) + self._offset).astype(self._dtype))
        return {name: self._values(details) for name, details in self._details.items()}

    def _values(self, details: dict[str, Any]) -> NDArray[np.float32]:
        try:
            values: NDArray[np.float32] = self._interpreter.get_tensor(details["index"])
        except ValueError as error:  # inside loops, as recurrent layers have them
            raise ConversionError(
                f"TFLite shows no values of {details['name']!r}, so INT8 cannot be calibrated; "
                "replace recurrent layers, or convert without --int8"
            ) from error
        if values.dtype != np.float32:
            scale, zero_point = details["quantization"]
            values = (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return values


def operators(model: bytes) -> list[Operator]:
    """The operators of a TFLite model, in the order in which they run."""
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = content.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    kinds = _kinds(content)
    constant = [content.buffers[tensor.buffer].data is not None for tensor in graph.tensors]
    return [
        Operator(
            kind=kinds[operator.opcodeIndex],
            inputs=tuple(names[i] for i in operator.inputs if i >= 0 and not constant[i]),
            outputs=tuple(names[i] for i in operator.outputs),
            weighted=kinds[operator.opcodeIndex] in _WEIGHTED,
            takes_bias=kinds[operator.opcodeIndex] in _BIAS_INPUT,
        )
        for operator in graph.operators
    ]


def _kinds(content: Any) -> list[str]:
    """The kind of operator behind each code."""
    return [
        str(flatbuffer_utils.opcode_to_name(content, index))
        for index in range(len(content.operatorCodes))
    ]


def _quantized(
    float32: bytes,
    how: qtyping.ModelQuantizationRecipe,
    ranges: Any = None,
    in_float: Collection[str] = (),
) -> bytes:
    engine = quantizer.Quantizer(float32)
    engine.load_quantization_recipe(how)
    for name in in_float:
        # An operator is found by the names of its outputs, each followed by a semicolon.
        engine.update_quantization_recipe(f"^{re.escape(name)};", _EVERY, algorithm_key=_LEFT_ALONE)
    with stderr_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = engine.quantize(ranges, enable_progress_report=False)
    return bytes(result.quantized_model)


def _scalar(value: float, rank: int) -> NDArray[np.float32]:
    return np.full((1,) * rank, value, dtype=np.float32)


def _inexpressible(message: str, layers: Collection[str]) -> str:
    """What to tell the user of the converter's pages: operation and layer."""
    found = re.search(r'fused\["(\w+):", "([^"]+)"', message)
    if not found:
        reason = " ".join(message.split())[:200]
        return f"TFLite cannot express the model ({reason}); convert with --format onnx"
    # Keras' path of the operation; it numbers the calls of a layer.
    parts = [re.sub(r"_\d+$", "", part) for part in found[2].split("/")]
    layer = next((part for part in reversed(parts) if part in layers), parts[0])
    return (
        f"TFLite cannot express {found[1]} in layer {layer!r}; replace it by layers that TFLite "
        "has, or convert with --format onnx"
    )
