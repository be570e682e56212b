"""The architectures by name; adding one touches its own file and the list here."""

from collections.abc import Callable
from types import MappingProxyType

import keras

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures.densenet121 import densenet121_backbone
from cxr_edge_train.architectures.head import attach_head
from cxr_edge_train.architectures.mobilenet import mobilenet_backbone
from cxr_edge_train.architectures.mobilenetv2 import mobilenetv2_backbone
from cxr_edge_train.architectures.pure_cnn import pure_cnn_backbone
from cxr_edge_train.architectures.vgg16 import vgg16_backbone
from cxr_edge_train.recipe import Model

# (grey input [N, H, W, 1], settings, weights: "imagenet", None or a file) -> last feature map
Backbone = Callable[[keras.KerasTensor, Model, str | None], keras.KerasTensor]

ARCHITECTURES: MappingProxyType[str, Backbone] = MappingProxyType(
    {
        "pure_cnn": pure_cnn_backbone,
        "mobilenet": mobilenet_backbone,
        "mobilenetv2": mobilenetv2_backbone,
        "vgg16": vgg16_backbone,
        "densenet121": densenet121_backbone,
    }
)

# These have one width; asking for another would be passed over in silence.
_ONE_WIDTH = ("vgg16", "densenet121")
# These have no pretrained weights; what `compare` is told for all others is not meant for them.
FROM_SCRATCH = ("pure_cnn",)


def build(architecture: str, settings: Model, *, weights: str | None) -> keras.Model:
    """Build a classifier that keeps the model contract.

    Input ``image``: ``[N, H, W, 1]`` float32 grey 0–255. Outputs by name: ``cam [N, h, w, 1]``,
    ``logit [N, 1]``, ``embedding [N, C]``, all float32. Scaling and the step to three channels are
    inside.

    Args:
        architecture: a key of :data:`ARCHITECTURES`.
        settings: input size, width and dropout.
        weights: ``imagenet`` (downloaded once by Keras), a weights file, or None for random ones.

    Raises:
        InvalidRequest: unknown architecture, a width it has not, or weights that are missing or do
            not fit.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InvalidRequest(f"unknown architecture {architecture!r}; known are {known}")
    if architecture in _ONE_WIDTH and settings.alpha != 1:
        raise InvalidRequest(f"{architecture} has no width multiplier; leave alpha at 1.0")
    image = keras.Input((settings.image_size, settings.image_size, 1), name="image")
    features = ARCHITECTURES[architecture](image, settings, weights)
    outputs = attach_head(features, dropout=settings.dropout)
    return keras.Model({"image": image}, outputs, name=architecture)
