"""Keras to TFLite: float32 through TensorFlow's converter, the rest through ai-edge-quantizer.

The one module that knows either of them.
"""

import re
import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import (
    algorithm_manager,
    model_modifier,
    qtyping,
    quantizer,
    recipe,
    recipe_manager,
)
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Ranges, integer_bias, output_operators
from cxr_edge_convert.formats.scratch import scratch_folder
from cxr_edge_convert.formats.tflite_graph import BIAS_INPUT, TfliteProbe, kinds_by_code
from cxr_edge_runtime.errors import ConversionError
from cxr_edge_runtime.native_output import stderr_silenced

_SIGNATURE = "serving_default"
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

    with scratch_folder() as folder, stderr_silenced():
        # Of the ways to TFLite this one freezes Keras 3 variables and keeps the signature's names.
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint(
            _SIGNATURE,
            serve,
            input_signature=[tf.TensorSpec(shape, tf.float32, name="image")],
        )
        archive.write_out(str(folder), verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=[_SIGNATURE]
        )
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


def to_weight_only(float32: bytes) -> bytes:
    """Store weights in INT8, a step per output channel; they are taken back before computing."""
    return _quantized(float32, recipe.weight_only_wi8_afp32())


def to_int8(float32: bytes, ranges: Ranges, *, in_float: Collection[str] = ()) -> bytes:
    """Quantize weights per channel and activations per tensor to INT8; the head stays in float.

    Args:
        float32: from :func:`to_float32`.
        ranges: of every activation tensor, by the names of
            :class:`cxr_edge_convert.formats.tflite_graph.TfliteProbe`.
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


def biases(model: bytes) -> dict[str, NDArray[np.float32]]:
    """The bias of each operator of a float model that has one; see models.py."""
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    found = _bias_tensors(content).items()
    return {name: _constant(content, tensor) for name, (_, _, tensor) in found if tensor >= 0}


def with_biases(model: bytes, new: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The model with other biases for some operators; see models.py."""
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = content.subgraphs[0]
    readers = Counter(int(tensor) for operator in graph.operators for tensor in operator.inputs)
    holders = Counter(tensor.buffer for tensor in graph.tensors)
    for name, (operator, position, bias) in _bias_tensors(content).items():
        if name not in new:
            continue
        values: NDArray[Any] = new[name].astype(np.float32)
        # The converter lets operators share equal constants; then this one gets its own.
        if bias < 0 or readers[bias] > 1 or holders[graph.tensors[bias].buffer] > 1:
            bias = _add_constant(content, f"{name}/corrected_bias")
            operator.inputs = [*operator.inputs[:position], bias, *operator.inputs[position + 1 :]]
        tensor = graph.tensors[bias]
        if tensor.type == flatbuffer_utils.schema_fb.TensorType.INT32:  # as the quantizer does it
            scale = np.asarray(tensor.quantization.scale, dtype=np.float32)
            values = integer_bias(values / scale)
        tensor.shape = [len(values)]
        content.buffers[tensor.buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    for buffer in content.buffers:
        if isinstance(buffer.data, bytearray):  # which would be written byte by byte
            buffer.data = np.frombuffer(buffer.data, np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def _bias_tensors(content: Any) -> dict[str, tuple[Any, int, int]]:
    """Operators that take a bias by name: each, which of its inputs that is, and the tensor.

    The tensor is -1 where there is none.
    """
    graph, kinds = content.subgraphs[0], kinds_by_code(content)
    found = {}
    for operator in graph.operators:
        position = BIAS_INPUT.get(kinds[operator.opcodeIndex])
        if position is not None:
            # An operator without a bias ends before it, or has -1 there.
            bias = int(operator.inputs[position]) if position < len(operator.inputs) else -1
            name = graph.tensors[operator.outputs[0]].name.decode()
            found[name] = (operator, position, bias)
    return found


def _constant(content: Any, tensor: int) -> NDArray[np.float32]:
    buffer = content.buffers[content.subgraphs[0].tensors[tensor].buffer]
    return np.frombuffer(bytes(buffer.data), np.float32)


def _add_constant(content: Any, name: str) -> int:
    """Put an empty float tensor into the model, and return its index."""
    content.buffers.append(flatbuffer_utils.schema_fb.BufferT())
    tensor = flatbuffer_utils.schema_fb.TensorT()
    tensor.name, tensor.buffer = name.encode(), len(content.buffers) - 1
    tensor.type = flatbuffer_utils.schema_fb.TensorType.FLOAT32
    content.subgraphs[0].tensors.append(tensor)
    return len(content.subgraphs[0].tensors) - 1


class _SilentQuantizer(quantizer.Quantizer):  # type: ignore[misc]  # it is not typed
    """A quantizer without progress bars.

    ``quantize`` passes ``enable_progress_bar`` to the first of its two stages only (0.9 and 0.10),
    and the second draws a bar for every model of a hundred tensors or more.
    """

    def _get_quantized_model(self, quant_params: Any, serialize_to_path: Any = None) -> Any:
        modifier = model_modifier.ModelModifier(self._float_model)
        return modifier.modify_model(quant_params, serialize_to_path, enable_progress_bar=False)


def _quantized(
    float32: bytes,
    how: qtyping.ModelQuantizationRecipe,
    ranges: Any = None,
    in_float: Collection[str] = (),
) -> bytes:
    engine = _SilentQuantizer(float32)
    engine.load_quantization_recipe(how)
    for name in in_float:
        # An operator is found by the names of its outputs, each followed by a semicolon.
        engine.update_quantization_recipe(f"^{re.escape(name)};", _EVERY, algorithm_key=_LEFT_ALONE)
    with stderr_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = engine.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _scalar(value: float, rank: int) -> NDArray[np.float32]:
    return np.full((1,) * rank, value, dtype=np.float32)


def _inexpressible(message: str, layers: Collection[str]) -> str:
    """What to tell the user of the converter's pages: operation and layer."""
    found = re.search(r'fused\["(\w+):", "([^"]+)"', message)
    if not found:
        reason = " ".join(message.split())[:200]
        return f"TFLite cannot express the model ({reason}); convert to ONNX instead"
    # Keras' path of the operation; it numbers the calls of a layer.
    parts = [re.sub(r"_\d+$", "", part) for part in found[2].split("/")]
    layer = next((part for part in reversed(parts) if part in layers), parts[0])
    return (
        f"TFLite cannot express {found[1]} in layer {layer!r}; replace it by layers that TFLite "
        "supports, or convert to ONNX instead"
    )
