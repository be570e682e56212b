"""A network of the model contract that is small enough for tests; needs Keras."""

import keras

from cxr_edge_train.architectures.head import attach_head
from cxr_edge_train.architectures.input_layers import scaled_to_unit


def tiny_model(size: int = 32, seed: int = 0) -> keras.Model:
    """Two convolutions and the common head, random weights."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, 1), name="image")
    features = scaled_to_unit(image)
    for filters in (8, 16):
        features = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(features)
        features = keras.layers.BatchNormalization()(features)
        features = keras.layers.ReLU(6.0)(features)
    return keras.Model({"image": image}, attach_head(features, dropout=0.1), name="tiny")
