"""MobileNetV2 (Sandler et al. 2018) from ``keras.applications``."""

import keras

from cxr_edge_train.architectures.input_layers import scaled_to_unit
from cxr_edge_train.architectures.pretrained import adopt, loading_weights
from cxr_edge_train.recipe import Model


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
    return adopt(backbone)(scaled_to_unit(image))
