"""DenseNet121 (Huang et al. 2017) from ``keras.applications``."""

import keras

from cxr_edge_train.architectures.input_layers import standardised_rgb
from cxr_edge_train.architectures.pretrained import adopt, loading_weights
from cxr_edge_train.recipe import Model


def densenet121_backbone(
    image: keras.KerasTensor, settings: Model, weights: str | None
) -> keras.KerasTensor:
    """Grey ``[N, H, W, 1]`` 0–255 to the last feature map ``[N, H/32, W/32, 1024]``."""
    with loading_weights("densenet121", weights):
        backbone = keras.applications.DenseNet121(
            input_shape=(settings.image_size, settings.image_size, 3),
            include_top=False,
            weights=weights,
        )
    return adopt(backbone)(standardised_rgb(image))
