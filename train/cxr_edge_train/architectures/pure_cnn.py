"""A plain convolutional network that is trained from scratch, as a baseline."""

import keras

from cxr_edge_train.architectures.backbone import BACKBONE, BATCH_NORM_MOMENTUM
from cxr_edge_train.architectures.input_layers import unit_grey
from cxr_edge_train.recipe import Model

_FILTERS = (32, 64, 128, 256, 256)
_HIDDEN = 128


def pure_cnn_backbone(
    image: keras.KerasTensor, settings: Model, weights: str | None
) -> keras.KerasTensor:
    """Map grey ``[N, H, W, 1]`` 0–255 to the last feature map ``[N, H/32, W/32, C]``.

    Five blocks of convolution, batch normalisation, ReLU and pooling are followed by the hidden
    dense layer, as a 1x1 convolution so that the activation map stays spatial, and by dropout.
    ``weights`` must be None.
    """
    grey = unit_grey(image)
    entry = keras.Input(grey.shape[1:])
    features = entry
    for block, filters in enumerate(_FILTERS, start=1):
        features = keras.layers.Conv2D(
            max(8, round(filters * settings.alpha)),
            3,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"block{block}_conv",
        )(features)
        features = keras.layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM, name=f"block{block}_bn"
        )(features)
        features = keras.layers.ReLU(name=f"block{block}_relu")(features)
        features = keras.layers.MaxPooling2D(name=f"block{block}_pool")(features)
    features = keras.layers.Conv2D(
        _HIDDEN, 1, activation="relu", kernel_initializer="he_normal", name="hidden"
    )(features)
    features = keras.layers.SpatialDropout2D(settings.dropout, name="hidden_dropout")(features)
    return keras.Model(entry, features, name=BACKBONE)(grey)
