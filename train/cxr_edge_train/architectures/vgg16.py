"""VGG16 (Simonyan and Zisserman 2015) from ``keras.applications``."""

import keras

from cxr_edge_train.architectures.input_layers import centred_bgr
from cxr_edge_train.architectures.pretrained import adopt, loading_weights
from cxr_edge_train.recipe import Model


def vgg16_backbone(
    image: keras.KerasTensor, settings: Model, weights: str | None
) -> keras.KerasTensor:
    """Grey ``[N, H, W, 1]`` 0–255 to the last feature map ``[N, H/32, W/32, 512]``."""
    with loading_weights("vgg16", weights):
        backbone = keras.applications.VGG16(
            input_shape=(settings.image_size, settings.image_size, 3),
            include_top=False,
            weights=weights,
        )
    return adopt(backbone)(centred_bgr(image))
