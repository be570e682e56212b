"""Somebody else's Keras classifier brought into the model contract."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ConversionError, InvalidRequest
from cxr_edge_train.architectures.input_layers import GREY_TO_RGB, RESCALING
from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.devices import compute_in_float32

# What grey 0-255 was turned into while a model was trained: factor and offset.
SCALINGS = {"0-255": (1.0, 0.0), "0-1": (1 / 255, 0.0), "-1-1": (1 / 127.5, -1.0)}
_SCALING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
# At inference features pass through them unchanged.
_PASSING = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise)
# What may follow the last layer, by its units. Two sigmoids would be two answers, and a softmax of
# one value is always 1.
_LAST_ACTIVATIONS = {1: ("linear", "sigmoid"), 2: ("linear", "softmax")}
# Of probabilities; float32 rounding, and mixed precision, stay below.
_MAX_DIFFERENCE = 1e-2


def contract_model(file: Path, *, labels: Sequence[str], scaling: str | None) -> keras.Model:
    """Load a model and give it grey input and, as far as its graph allows, the contract's outputs.

    ``logit`` always: the last dense layer without its sigmoid or softmax, the difference of its
    two values where it has two. ``embedding``: the mean of the last feature map. ``cam``: where
    nothing but that mean feeds the dense layer, a 1x1 convolution with its weights; the map's mean
    is the logit (Zhou et al. 2016).

    Args:
        file: ``.keras`` or ``.h5``.
        labels: ``NORMAL`` and ``PNEUMONIA`` in the order of the outputs; a single output gives the
            probability of the second.
        scaling: a key of :data:`SCALINGS`; None when a layer of the model scales.

    Raises:
        InvalidRequest: missing or damaged file, or labels or scaling that make no sense for it.
        ConversionError: not an image classifier of a form that can be understood.
    """
    if sorted(labels) != sorted(LABELS):
        raise InvalidRequest(
            f"--labels must name {' and '.join(LABELS)} in the order of the model's outputs"
        )
    model = _load(file)
    height, width, channels = _input_shape(file, model)
    if scaling is None and not any(isinstance(layer, _SCALING_LAYERS) for layer in _layers(model)):
        raise InvalidRequest(
            f"{file}: no layer of it scales grey values; say with --scaling "
            f"{', '.join(SCALINGS)} what it was trained on"
        )
    body = keras.Model(model.inputs[0], _outputs(file, model, labels), name="body")
    image = keras.Input((height, width, 1), name="image")
    factor, offset = SCALINGS[scaling or "0-255"]
    # Also with factor 1: the layer is where calibration knows the range from grey 0-255.
    scaled = keras.layers.Rescaling(factor, offset=offset, name=RESCALING)(image)
    if channels == 3:
        scaled = keras.layers.Concatenate(name=GREY_TO_RGB)([scaled] * 3)
    whole = keras.Model({"image": image}, body(scaled), name="own")
    compute_in_float32(whole)
    _check_same(file, model, whole, (factor, offset), labels)
    return whole


def _check_same(
    file: Path,
    model: keras.Model,
    whole: keras.Model,
    scaling: tuple[float, float],
    labels: Sequence[str],
) -> None:
    """Compare with the user's own model, so that nothing is lost in the rewriting."""
    greys = np.random.default_rng(0).integers(0, 256, (4, *whole.inputs[0].shape[1:]))
    factor, offset = scaling
    films = greys.astype(np.float32) * factor + offset
    channels = model.inputs[0].shape[3]
    own = np.asarray(model(np.repeat(films, channels, axis=3), training=False), np.float64)
    activation = _last_dense(file, model)[2]
    if activation == "linear":
        own = 1 / (1 + np.exp(-own)) if own.shape[1] == 1 else _softmax(own)
    place = list(labels).index("PNEUMONIA")
    wanted = own[:, place] if own.shape[1] == 2 else (own if place else 1 - own)[:, 0]
    logits = np.asarray(whole({"image": greys.astype(np.float32)}, training=False)["logit"])
    difference = float(np.abs(1 / (1 + np.exp(-logits[:, 0].astype(np.float64))) - wanted).max())
    if not difference < _MAX_DIFFERENCE:
        raise ConversionError(
            f"{file}: rewritten with the contract's outputs it gives other probabilities (they "
            f"differ by {difference:.2g}); its graph is not understood"
        )


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _load(file: Path) -> keras.Model:
    if not file.is_file():
        raise InvalidRequest(f"{file}: no such file")
    try:
        model = keras.models.load_model(file, compile=False)
    except Exception as error:  # whatever a damaged or unusual file makes Keras raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InvalidRequest(
            f"{file}: Keras {keras.__version__} cannot load it ({reason}); save it again with "
            "model.save('name.keras'), without custom layers"
        ) from error
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ConversionError(f"{file}: must be a functional or sequential Keras model")
    return model


def _input_shape(file: Path, model: keras.Model) -> tuple[int, int, int]:
    shape = model.inputs[0].shape
    fixed = len(shape) == 4 and all(isinstance(side, int) for side in shape[1:])
    if len(model.inputs) != 1 or not fixed or shape[3] not in (1, 3):
        shapes = ", ".join(str(tensor.shape) for tensor in model.inputs)
        raise ConversionError(
            f"{file}: its input is {shapes}; it must be one image of fixed size, (None, H, W, 1) "
            "or (None, H, W, 3)"
        )
    return shape[1], shape[2], shape[3]


def _outputs(file: Path, model: keras.Model, labels: Sequence[str]) -> dict[str, keras.KerasTensor]:
    dense, features, _ = _last_dense(file, model)
    kernel, bias = _logit_weights(dense, labels)
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


def _last_dense(
    file: Path, model: keras.Model
) -> tuple[keras.layers.Dense, keras.KerasTensor, str]:
    """The dense layer that decides, the features ``[N, C]`` it reads, and what follows it."""
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
    dense: keras.layers.Dense, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel ``[C, 1]`` and bias ``[1]`` that give PNEUMONIA's logit."""
    kernel = np.asarray(dense.kernel, dtype=np.float32)
    bias = np.asarray(dense.bias) if dense.use_bias else np.zeros(dense.units, dtype=np.float32)
    signs = np.array([-1, 1] if labels[1] == "PNEUMONIA" else [1, -1], dtype=np.float32)
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


def _layers(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
