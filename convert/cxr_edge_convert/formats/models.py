"""Models in each format, behind one set of functions."""

from collections.abc import Collection, Mapping

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats import onnx, onnx_constants, tflite
from cxr_edge_convert.formats.graph import Ranges
from cxr_edge_convert.formats.onnx_graph import OnnxProbe
from cxr_edge_convert.formats.tflite_graph import TfliteProbe
from cxr_edge_convert.variants import DYNAMIC, FLOAT16, ONNX, Scheme

ModelProbe = OnnxProbe | TfliteProbe


def float32_model(model: keras.Model, format: str) -> bytes:
    """A Keras model of the contract in another format, weights as they are.

    Raises:
        ConversionError: the format cannot express it.
    """
    return onnx.to_float32(model) if format == ONNX else tflite.to_float32(model)


def probe_of(model: bytes, format: str, seen: Collection[str] | None = None) -> ModelProbe:
    """Activations of a model in a format: the tensors of these names, all where None."""
    return OnnxProbe(model, seen) if format == ONNX else TfliteProbe(model, seen)


def smaller_model(float32: bytes, scheme: Scheme) -> bytes:
    """The model with smaller weights, for the schemes that need no calibration."""
    return {FLOAT16: tflite.to_float16, DYNAMIC: tflite.to_dynamic}[scheme.quantization](float32)


def weight_only_model(float32: bytes, format: str) -> bytes:
    """The model with INT8 weights, a step per output channel, which computes in float."""
    change = onnx_constants.to_weight_only if format == ONNX else tflite.to_weight_only
    return change(float32)


def biases(model: bytes, format: str) -> dict[str, NDArray[np.float32]]:
    """The bias of each operator of a float model that has one, by the operator's name."""
    return onnx_constants.biases(model) if format == ONNX else tflite.biases(model)


def with_biases(model: bytes, format: str, new: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The model with other biases for some operators, a number a channel.

    Args:
        model: in float; or INT8 made from a model whose biases of these operators were set by this
            function, of which only the biases change and no scale does.
        format: of the model.
        new: by names of operators.
    """
    if format == ONNX:
        return onnx_constants.with_biases(model, new)
    return tflite.with_biases(model, new)


def int8_model(
    float32: bytes, scheme: Scheme, ranges: Ranges, *, in_float: Collection[str] = ()
) -> bytes:
    """The model with INT8 weights and activations.

    Args:
        float32: in the scheme's format.
        scheme: an INT8 scheme.
        ranges: of every activation tensor.
        in_float: names of operators that stay in float, besides the head.
    """
    if scheme.format == ONNX:
        assert scheme.target is not None
        return onnx.to_int8(float32, ranges, target=scheme.target, in_float=in_float)
    return tflite.to_int8(float32, ranges, in_float=in_float)
