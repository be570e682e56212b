"""A network of the model contract that is small enough for tests; needs Keras."""

import keras

from cxr_edge_train.architectures.backbone import BACKBONE, Architecture
from cxr_edge_train.architectures.head import attach_head
from cxr_edge_train.architectures.input_layers import scaled_to_unit
from cxr_edge_train.recipe import Model


def tiny_backbone(
    image: keras.KerasTensor, settings: Model, weights: str | None
) -> keras.KerasTensor:
    """Two convolutions."""
    rgb = scaled_to_unit(image)
    entry = keras.Input(rgb.shape[1:])
    features = entry
    for filters in (8, 16):
        features = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", name=f"conv{filters}"
        )(features)
        features = keras.layers.BatchNormalization(momentum=0.9)(features)
        features = keras.layers.ReLU(6.0)(features)
    backbone: keras.KerasTensor = keras.Model(entry, features, name=BACKBONE)(rgb)
    return backbone


TINY = Architecture(tiny_backbone, has_width=True, pretrained=True)


def tiny_model(size: int = 32, seed: int = 0) -> keras.Model:
    """The backbone with the common head, random weights."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, 1), name="image")
    features = tiny_backbone(image, Model(), None)
    return keras.Model({"image": image}, attach_head(features, dropout=0.1), name="tiny")
