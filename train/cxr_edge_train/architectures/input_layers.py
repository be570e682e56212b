"""From grey 0–255 to the three scaled channels that ImageNet backbones take."""

import keras

RESCALING = "rescaling"
GREY_TO_RGB = "grey_to_rgb"

# Layers whose range follows from grey 0–255 alone; calibration need not guess it from films.
INPUT_LAYERS = (RESCALING, GREY_TO_RGB)


def scaled_to_unit(image: keras.KerasTensor) -> keras.KerasTensor:
    """Grey ``[N, H, W, 1]`` 0–255 to ``[N, H, W, 3]`` in -1 to 1.

    The scaling of ``keras.applications.mobilenet_v2.preprocess_input``: ``x / 127.5 - 1``.
    """
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name=RESCALING)(image)
    return keras.layers.Concatenate(name=GREY_TO_RGB)([scaled] * 3)
