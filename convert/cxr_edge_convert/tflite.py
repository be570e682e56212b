"""Keras to TFLite: float32 through TensorFlow's converter, INT8 through ai-edge-quantizer.

The one module that knows either of them.
"""

import copy
import re
import tempfile
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import algorithm_manager, calibrator, qtyping, quantizer, recipe
from ai_edge_quantizer import recipe_manager as recipes
from ai_edge_quantizer.utils import qsv_utils
from numpy.typing import NDArray

from cxr_edge_runtime.native_output import stderr_silenced
from cxr_edge_train.architectures.input_layers import INPUT_LAYERS

_SIGNATURE = "serving_default"
# Tensor name -> {"min": array, "max": array}, the form in which the quantizer takes ranges.
Ranges = dict[str, dict[str, NDArray[np.float32]]]


def to_float32(model: keras.Model) -> bytes:
    """Convert a model of the contract to TFLite, batch size 1, weights as they are.

    Args:
        model: input ``image``, outputs ``cam``, ``logit`` and ``embedding``.

    Returns:
        The flatbuffer; its signature names input and outputs. The same model gives the same bytes.
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
        return bytes(converter.convert())


def tensor_ranges(float32: bytes, pixels: NDArray[np.uint8]) -> Ranges:
    """Smallest and largest value of every activation over all images.

    The input and the layers that scale it get the range that grey 0 to 255 gives them, whatever
    greys occur, so that no film is clipped.

    Args:
        float32: the float model.
        pixels: ``[N, H, W, 1] uint8``; their order changes nothing.
    """
    ranges = _min_max(float32, pixels)
    ramp = np.resize(np.arange(256, dtype=np.uint8), pixels.shape[1:])[np.newaxis]
    image = _interpreter(float32).get_input_details()[0]["name"]
    for name, limits in _min_max(float32, ramp).items():
        if name == image or any(f"/{layer}" in name for layer in INPUT_LAYERS):
            ranges[name] = limits
    return {name: _covering(limits) for name, limits in ranges.items()}


def to_int8(float32: bytes, ranges: Ranges) -> bytes:
    """Quantize weights per channel and activations per tensor to INT8; the head stays in float.

    Args:
        float32: from :func:`to_float32`.
        ranges: from :func:`tensor_ranges`.

    Returns:
        The flatbuffer, input INT8 with scale 1 and zero point -128, outputs float32. The same
        arguments give the same bytes.
    """
    engine = quantizer.Quantizer(float32)
    engine.load_quantization_recipe(recipe.static_wi8_ai8())
    # The operators that make the outputs: the map's convolution and the two means. In float the
    # logit is not confined to 256 steps, and three small operators cost next to nothing.
    for output in _interpreter(float32).get_output_details():
        engine.update_quantization_recipe(
            regex=re.escape(output["name"]),
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
        )
    with stderr_silenced(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = engine.quantize(copy.deepcopy(ranges), enable_progress_report=False)
    return bytes(result.quantized_model)


def _min_max(float32: bytes, pixels: NDArray[np.uint8]) -> Ranges:
    manager = recipes.RecipeManager()
    manager.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = [{"image": image[np.newaxis].astype(np.float32)} for image in pixels]
    with stderr_silenced(), warnings.catch_warnings():
        # LiteRT warns that keeping all tensors costs memory; that is what is wanted here.
        warnings.simplefilter("ignore", UserWarning)
        # The quantizer's own update is a moving average: it would forget all but the last images.
        ranges = calibrator.Calibrator(
            float32, num_threads=1, qsv_update_func=qsv_utils.min_max_update
        )
        ranges.calibrate({_SIGNATURE: samples}, manager)
    found: Ranges = ranges.get_model_qsvs()
    return found


def _covering(limits: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The narrowest range with an integer zero point that holds all of ``limits``.

    The quantizer rounds the zero point, which would cut off up to half a step at one end.
    """
    low, high = float(limits["min"].min()), float(limits["max"].max())
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return limits
    zero_points = np.arange(-128, 128)
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = np.fmax(low / (-128 - zero_points), high / (127 - zero_points))
    # A zero point at one end leaves no room on that side.
    scales[0] = scales[0] if low == 0 else np.inf
    scales[-1] = scales[-1] if high == 0 else np.inf
    best = int(np.argmin(scales))
    shape = limits["min"].shape
    return {
        "min": np.full(shape, (-128 - zero_points[best]) * scales[best], dtype=np.float32),
        "max": np.full(shape, (127 - zero_points[best]) * scales[best], dtype=np.float32),
    }


def _interpreter(model: bytes) -> Any:
    with stderr_silenced():
        return Interpreter(model_content=model)
