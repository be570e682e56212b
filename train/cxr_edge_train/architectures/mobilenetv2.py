"""MobileNetV2 (Sandler et al. 2018) from ``keras.applications``."""

import keras

from cxr_edge_train.architectures.input_layers import scaled_to_unit
from cxr_edge_train.architectures.pretrained import BACKBONE, loading_weights
from cxr_edge_train.recipe import Model

# keras.applications has 0.999, right for a million ImageNet steps; over the one or two thousand
# steps of fine-tuning the running statistics would still be ImageNet's.
BATCH_NORM_MOMENTUM = 0.99


def mobilenetv2_backbone(
    image: keras.KerasTensor, settings: Model, weights: str | None
) -> keras.KerasTensor:
    """Grey ``[N, H, W, 1]`` 0–255 to the last feature map ``[N, H/32, W/32, C]``."""
    with loading_weights("mobilenetv2", weights):
        backbone = keras.applications.MobileNetV2(
            input_shape=(settings.image_size, settings.image_size, 3),
            alpha=settings.alpha,
            include_top=False,
            weights=weights,
        )
    backbone.name = BACKBONE
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return backbone(scaled_to_unit(image))
