"""A Keras classifier made elsewhere, brought into the model contract."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from scipy.special import expit, softmax

from cxr_edge_convert.external_models.graph import all_layers, contract_outputs, last_dense
from cxr_edge_runtime.bundle.manifest import OUTPUTS
from cxr_edge_runtime.errors import ConversionError, InvalidRequest
from cxr_edge_train.architectures.input_layers import GREY_TO_RGB, RESCALING
from cxr_edge_train.backend.devices import compute_in_float32
from cxr_edge_train.backend.keras_models import why_not_loaded
from cxr_edge_train.dataset.class_names import ClassNames

# What grey 0-255 was turned into while a model was trained: factor and offset.
SCALINGS = {"0-255": (1.0, 0.0), "0-1": (1 / 255, 0.0), "-1-1": (1 / 127.5, -1.0)}
_SUFFIXES = (".keras", ".h5", ".hdf5")
_SCALING_LAYERS = (keras.layers.Rescaling, keras.layers.Normalization)
# Of probabilities; float32 rounding, and mixed precision, stay below.
_MAX_DIFFERENCE = 1e-2


def check_request(file: Path, *, labels: object, scaling: str | None) -> None:
    """Refuse what can be refused before anything is read; arguments as in :func:`contract_model`.

    Raises:
        InvalidRequest: the file is missing or is no Keras file, the labels are not two names, or
            the scaling is unknown.
    """
    if not file.is_file():
        raise InvalidRequest(f"{file}: no such file")
    if file.suffix.lower() not in _SUFFIXES:
        raise InvalidRequest(f"{file}: is not a Keras model; its name must end in .keras or .h5")
    if scaling is not None and (not isinstance(scaling, str) or scaling not in SCALINGS):
        raise InvalidRequest(f"unknown scaling {scaling!r}; choose one of {', '.join(SCALINGS)}")
    if labels is not None and not (
        isinstance(labels, list | tuple)
        and len(labels) == 2
        and all(isinstance(label, str) for label in labels)
    ):
        raise InvalidRequest(
            f"the labels must be two names in the order of the model's outputs, not {labels!r}"
        )


def check_labels(labels: Sequence[str], names: ClassNames) -> None:
    """Check the order of a model's labels.

    Raises:
        InvalidRequest: they are not the two names, each once.
    """
    if sorted(labels) != sorted(names):
        raise InvalidRequest(
            f"the labels must be {' and '.join(names)} in the order of the model's outputs, "
            f"not {labels!r}"
        )


def contract_model(
    file: Path, *, labels: Sequence[str], names: ClassNames, scaling: str | None
) -> keras.Model:
    """Load a model and give it grey input and, as far as its graph allows, the contract's outputs.

    ``logit`` always: the last dense layer without its sigmoid or softmax, the difference of its
    two values where it has two. ``embedding``: the mean of the last feature map. ``cam``: where
    nothing but that mean feeds the dense layer, a 1x1 convolution with its weights; the map's mean
    is the logit (Zhou et al. 2016). A model that keeps the contract already, as those in
    ``models/float`` do, is taken as it is.

    Args:
        file: ``.keras`` or ``.h5``.
        labels: the two labels in the order of the outputs. A single output gives the probability
            of the second one.
        names: which of them is which.
        scaling: a key of :data:`SCALINGS`, or None when a layer of the model scales.

    Raises:
        InvalidRequest: missing or damaged file, or labels or scaling that make no sense for it.
        ConversionError: not an image classifier of a form that can be understood.
    """
    check_request(file, labels=labels, scaling=scaling)
    check_labels(labels, names)
    model = _load(file)
    if _keeps_contract(model):
        _check_as_contract(file, labels, names, scaling)
        compute_in_float32(model)
        return model
    height, width, channels = _input_shape(file, model)
    scales = any(isinstance(layer, _SCALING_LAYERS) for layer in all_layers(model))
    if scaling is None and not scales:
        raise InvalidRequest(
            f"{file}: none of its layers scales grey values; state the scaling that it was "
            f"trained with, one of {', '.join(SCALINGS)}"
        )
    positive_first = labels[0] == names.positive
    body = keras.Model(
        model.inputs[0], contract_outputs(file, model, positive_first=positive_first), name="body"
    )
    image = keras.Input((height, width, 1), name="image")
    factor, offset = SCALINGS[scaling or "0-255"]
    # Also with factor 1: the layer is where calibration knows the range from grey 0-255.
    scaled = keras.layers.Rescaling(factor, offset=offset, name=RESCALING)(image)
    if channels == 3:
        scaled = keras.layers.Concatenate(name=GREY_TO_RGB)([scaled] * 3)
    whole = keras.Model({"image": image}, body(scaled), name="own")
    compute_in_float32(whole)
    _check_same(file, model, whole, (factor, offset), positive_first=positive_first)
    return whole


def _keeps_contract(model: keras.Model) -> bool:
    """Whether a model takes grey ``image [N, H, W, 1]`` and gives the outputs by name."""
    outputs = getattr(model, "output", None)  # a sequential model may have none yet
    return (
        [tensor.name for tensor in model.inputs] == ["image"]
        and model.inputs[0].shape[3:] == (1,)
        and isinstance(outputs, dict)
        and {"logit"} <= set(outputs) <= set(OUTPUTS)
        and outputs["logit"].shape[1:] == (1,)
    )


def _check_as_contract(
    file: Path, labels: Sequence[str], names: ClassNames, scaling: str | None
) -> None:
    if tuple(labels) != names:
        raise InvalidRequest(
            f"{file}: is a model of cxr-edge, whose logit is that of {names.positive}; its labels "
            f"must be {','.join(names)}"
        )
    if scaling not in (None, "0-255"):
        raise InvalidRequest(
            f"{file}: is a model of cxr-edge, which scales grey values itself; state no scaling"
        )


def _check_same(
    file: Path,
    model: keras.Model,
    whole: keras.Model,
    scaling: tuple[float, float],
    *,
    positive_first: bool,
) -> None:
    """Compare with the user's own model, so that nothing is lost in the rewriting."""
    greys = np.random.default_rng(0).integers(0, 256, (4, *whole.inputs[0].shape[1:]))
    factor, offset = scaling
    films = greys.astype(np.float32) * factor + offset
    channels = model.inputs[0].shape[3]
    own = np.asarray(model(np.repeat(films, channels, axis=3), training=False), np.float64)
    activation = last_dense(file, model)[2]
    if activation == "linear":
        own = expit(own) if own.shape[1] == 1 else softmax(own, axis=1)
    index = int(not positive_first)
    wanted = own[:, index] if own.shape[1] == 2 else (own if index else 1 - own)[:, 0]
    logits = np.asarray(whole({"image": greys.astype(np.float32)}, training=False)["logit"])
    difference = float(np.abs(expit(logits[:, 0].astype(np.float64)) - wanted).max())
    if not difference < _MAX_DIFFERENCE:
        raise ConversionError(
            f"{file}: rewriting its outputs changed its probabilities by up to {difference:.2g}, "
            "so its graph is not supported"
        )


def _load(file: Path) -> keras.Model:
    try:
        model = keras.models.load_model(file, compile=False)
    except Exception as error:  # whatever a damaged or unusual file makes Keras raise
        raise InvalidRequest(
            f"{file}: Keras {keras.__version__} cannot load it ({why_not_loaded(error)}); save it "
            "again with model.save('name.keras'), without custom layers"
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
