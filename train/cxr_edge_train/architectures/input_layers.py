"""Input layers: grey 0–255 to the scaled channels that each family of backbones expects."""

from collections.abc import Sequence

import keras

RESCALING = "rescaling"
GREY_TO_RGB = "grey_to_rgb"

# Means and deviations of ImageNet's channels, as keras.applications has them: the first in the
# order blue, green, red that VGG was trained with, the others red, green, blue and for values 0–1.
_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_TORCH_MEAN_RGB = (0.485, 0.456, 0.406)
_TORCH_DEVIATION_RGB = (0.229, 0.224, 0.225)


def scaled_to_unit(image: keras.KerasTensor) -> keras.KerasTensor:
    """Scale grey ``[N, H, W, 1]`` 0–255 to ``[N, H, W, 3]`` of -1 to 1.

    It is the scaling of ``keras.applications.mobilenet_v2.preprocess_input``: ``x / 127.5 - 1``.
    """
    return _as_rgb(unit_grey(image))


def unit_grey(image: keras.KerasTensor) -> keras.KerasTensor:
    """Scale grey ``[N, H, W, 1]`` 0–255 to -1 to 1, still with one channel."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name=RESCALING)(image)


def centred_bgr(image: keras.KerasTensor) -> keras.KerasTensor:
    """Subtract ImageNet's mean from grey ``[N, H, W, 1]`` 0–255, giving BGR ``[N, H, W, 3]``.

    It is the scaling of ``keras.applications.vgg16.preprocess_input``.
    """
    return _by_channel(image, (1.0, 1.0, 1.0), [-mean for mean in _CAFFE_MEAN_BGR])


def standardised_rgb(image: keras.KerasTensor) -> keras.KerasTensor:
    """Standardise grey ``[N, H, W, 1]`` 0–255 by ImageNet's statistics to RGB ``[N, H, W, 3]``.

    It is the scaling of ``keras.applications.densenet.preprocess_input``.
    """
    pairs = list(zip(_TORCH_MEAN_RGB, _TORCH_DEVIATION_RGB))
    return _by_channel(
        image,
        [1 / (255 * deviation) for _, deviation in pairs],
        [-mean / deviation for mean, deviation in pairs],
    )


def _as_rgb(image: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Concatenate(name=GREY_TO_RGB)([image] * 3)


def _by_channel(
    image: keras.KerasTensor, scale: Sequence[float], offset: Sequence[float]
) -> keras.KerasTensor:
    return keras.layers.Rescaling(list(scale), offset=list(offset), name=RESCALING)(_as_rgb(image))
