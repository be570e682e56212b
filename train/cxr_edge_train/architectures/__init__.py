"""The known architectures by name, and building a classifier from one of them."""

from types import MappingProxyType

import keras

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures.backbone import Architecture
from cxr_edge_train.architectures.head import attach_head
from cxr_edge_train.architectures.input_layers import (
    centred_bgr,
    scaled_to_unit,
    standardised_rgb,
)
from cxr_edge_train.architectures.pretrained import from_keras
from cxr_edge_train.architectures.pure_cnn import pure_cnn_backbone
from cxr_edge_train.recipe import Model

ARCHITECTURES: MappingProxyType[str, Architecture] = MappingProxyType(
    {
        "pure_cnn": Architecture(pure_cnn_backbone, has_width=True, pretrained=False),
        # Howard et al. 2017
        "mobilenet": from_keras(keras.applications.MobileNet, scaled_to_unit, has_width=True),
        # Sandler et al. 2018
        "mobilenetv2": from_keras(keras.applications.MobileNetV2, scaled_to_unit, has_width=True),
        # Simonyan and Zisserman 2015
        "vgg16": from_keras(keras.applications.VGG16, centred_bgr, has_width=False),
        # Huang et al. 2017
        "densenet121": from_keras(
            keras.applications.DenseNet121, standardised_rgb, has_width=False
        ),
    }
)


def build(architecture: str, settings: Model, *, weights: str | None) -> keras.Model:
    """Build a classifier that keeps the model contract.

    Its input ``image`` is float32 grey 0–255 ``[N, H, W, 1]``. Its outputs by name are
    ``cam [N, h, w, 1]``, ``logit [N, 1]`` and ``embedding [N, C]``, all float32. Scaling and the
    step to three channels are part of the network.

    Args:
        architecture: a key of :data:`ARCHITECTURES`.
        settings: input size, width and dropout.
        weights: ``imagenet`` (downloaded once by Keras), a weights file, or None for random ones.

    Raises:
        InvalidRequest: the architecture is unknown or has no such width, or the weights are missing
            or do not fit.
        WeightsUnavailable: the ImageNet weights cannot be downloaded.
    """
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InvalidRequest(f"unknown architecture {architecture!r}; choose one of {known}")
    chosen = ARCHITECTURES[architecture]
    if not chosen.has_width and settings.alpha != 1:
        raise InvalidRequest(f"{architecture} has no width multiplier; leave alpha at 1.0")
    if not chosen.pretrained and weights is not None:
        raise InvalidRequest(f"{architecture} is trained from scratch: its weights must be none")
    image = keras.Input((settings.image_size, settings.image_size, 1), name="image")
    features = chosen.backbone(image, settings, weights)
    outputs = attach_head(features, dropout=settings.dropout)
    return keras.Model({"image": image}, outputs, name=architecture)
