"""What the graph of a Keras classifier made elsewhere can give of the contract's outputs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ConversionError

# At inference features pass through them unchanged.
_PASSING = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise)
# What may follow the last layer, by its units. Two sigmoids would be two answers, and a softmax of
# one value is always 1.
_LAST_ACTIVATIONS = {1: ("linear", "sigmoid"), 2: ("linear", "softmax")}


def contract_outputs(
    file: Path, model: keras.Model, *, positive_first: bool
) -> dict[str, keras.KerasTensor]:
    """The outputs of the contract that a model's graph allows.

    See :func:`cxr_edge_convert.external_models.contract.contract_model`.

    Raises:
        ConversionError: the model is no classifier of a form that can be understood.
    """
    dense, features, _ = last_dense(file, model)
    kernel, bias = _logit_weights(dense, positive_first=positive_first)
    outputs: dict[str, keras.KerasTensor] = {}
    feature_map = _last_map(features)
    if feature_map is not None:
        outputs["embedding"] = keras.layers.GlobalAveragePooling2D(name="embedding")(feature_map)
        if isinstance(_source(_passed(features))[0], keras.layers.GlobalAveragePooling2D):
            cam = keras.layers.Conv2D(1, 1, name="cam")
            outputs["cam"] = cam(feature_map)
            cam.set_weights([kernel[np.newaxis, np.newaxis], bias])
            outputs["logit"] = keras.layers.GlobalAveragePooling2D(name="logit")(outputs["cam"])
            return outputs
    logit = keras.layers.Dense(1, name="logit")
    outputs["logit"] = logit(features)
    logit.set_weights([kernel, bias])
    return outputs


def last_dense(file: Path, model: keras.Model) -> tuple[keras.layers.Dense, keras.KerasTensor, str]:
    """The dense layer that decides, the features ``[N, C]`` it reads, and what follows it.

    Raises:
        ConversionError: the model has several outputs, or ends in another layer.
    """
    if len(model.outputs) != 1:
        raise ConversionError(f"{file}: has {len(model.outputs)} outputs, not one")
    layer, inputs = _source(model.outputs[0])
    activation = "linear"
    if isinstance(layer, keras.layers.Activation | keras.layers.Softmax):
        activation = "softmax" if isinstance(layer, keras.layers.Softmax) else _activation(layer)
        layer, inputs = _source(inputs[0])
    allowed = _LAST_ACTIVATIONS.get(getattr(layer, "units", 0), ())
    if activation == "linear" and isinstance(layer, keras.layers.Dense):
        activation = _activation(layer)
    elif _activation(layer) != "linear":
        allowed = ()
    if not isinstance(layer, keras.layers.Dense) or activation not in allowed:
        raise ConversionError(
            f"{file}: ends in layer {layer.name!r} ({type(layer).__name__}); a classifier must end "
            "in a Dense layer of one unit with sigmoid, or of two units with softmax, or of either "
            "without activation"
        )
    return layer, inputs[0], activation


def _logit_weights(
    dense: keras.layers.Dense, *, positive_first: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel ``[C, 1]`` and bias ``[1]`` that give the positive label's logit."""
    kernel = np.asarray(dense.kernel, dtype=np.float32)
    bias = np.asarray(dense.bias) if dense.use_bias else np.zeros(dense.units, dtype=np.float32)
    signs = np.array([1, -1] if positive_first else [-1, 1], dtype=np.float32)
    signs = signs[-dense.units :]
    return kernel @ signs[:, np.newaxis], np.array([bias @ signs], dtype=np.float32)


def _last_map(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """The feature map ``[N, h, w, C]`` that features come from, None where ways part before it."""
    while len(tensor.shape) != 4:
        _, inputs = _source(tensor)
        if len(inputs) != 1:
            return None
        tensor = inputs[0]
    return tensor


def _passed(tensor: keras.KerasTensor) -> keras.KerasTensor:
    layer, inputs = _source(tensor)
    return _passed(inputs[0]) if isinstance(layer, _PASSING) else tensor


def _source(tensor: keras.KerasTensor) -> tuple[Any, list[keras.KerasTensor]]:
    """The layer a tensor comes from and what that layer read."""
    # Keras has no public way to walk a graph from its end.
    layer, node, _ = tensor._keras_history
    return layer, list(layer._inbound_nodes[node].input_tensors)


def _activation(layer: Any) -> str:
    name = getattr(layer.activation, "__name__", "") if hasattr(layer, "activation") else ""
    return str(name)


def all_layers(model: keras.Model) -> Iterator[Any]:
    """The layers of a model and of the models within it."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
