"""The locator's network: MobileNetV2 of width 0.35, and a decoder up to a quarter of the input."""

import keras

from cxr_edge_runtime.preprocess import LOCATOR_CELLS, LOCATOR_SIDE
from cxr_edge_train.architectures.backbone import BACKBONE, BATCH_NORM_MOMENTUM
from cxr_edge_train.architectures.input_layers import scaled_to_unit
from cxr_edge_train.architectures.pretrained import loading_weights

ALPHA = 0.35
# Width of the decoder's feature maps.
_CHANNELS = 48
# MobileNetV2's last layers that have 4, 8, 16 and 32 cells along a side of 128 pixels. What comes
# after them, a convolution to 1280 channels, is a quarter of its weights; the decoder needs none.
_LEVELS = (
    "block_16_project_BN",
    "block_13_expand_relu",
    "block_6_expand_relu",
    "block_3_expand_relu",
)


def build_locator(weights: str | None) -> keras.Model:
    """Build the locator with a decoder of random weights.

    The decoder goes up level by level: its map, made twice as large, is added to that of the
    backbone (Lin et al. 2017, "Feature Pyramid Networks for Object Detection").

    Args:
        weights: what the backbone's weights start from: ``imagenet``, a file, or None.

    Returns:
        A model from ``image [N, 128, 128, 1]``, grey 0 to 255, to ``mask [N, 32, 32, 1]``, the
        logit that a cell is lung.

    Raises:
        InvalidRequest: the weights are missing or do not fit.
    """
    image = keras.Input((LOCATOR_SIDE, LOCATOR_SIDE, 1), name="image")
    deepest, *finer = _backbone(weights)(scaled_to_unit(image))
    features = _projected(deepest, 0)
    for level, skipped in enumerate(finer, start=1):
        larger = keras.layers.UpSampling2D(interpolation="bilinear", name=f"larger_{level}")(
            features
        )
        features = keras.layers.Add(name=f"sum_{level}")([larger, _projected(skipped, level)])
        features = _smoothed(features, level)
    mask = keras.layers.Conv2D(1, 1, dtype="float32", name="mask")(features)
    assert mask.shape[1:] == (LOCATOR_CELLS, LOCATOR_CELLS, 1)
    return keras.Model({"image": image}, {"mask": mask}, name="locator")


def _backbone(weights: str | None) -> keras.Model:
    with loading_weights("mobilenetv2", weights):
        network = keras.applications.MobileNetV2(
            input_shape=(LOCATOR_SIDE, LOCATOR_SIDE, 3),
            alpha=ALPHA,
            include_top=False,
            weights=weights,
        )
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, BATCH_NORM_MOMENTUM)
    outputs = [network.get_layer(name).output for name in _LEVELS]
    return keras.Model(network.inputs, outputs, name=BACKBONE)


def _projected(features: keras.KerasTensor, level: int) -> keras.KerasTensor:
    projected = keras.layers.Conv2D(_CHANNELS, 1, use_bias=False, name=f"projection_{level}")(
        features
    )
    return _normalised(projected, f"projection_{level}_bn")


def _smoothed(features: keras.KerasTensor, level: int) -> keras.KerasTensor:
    smoothed = keras.layers.SeparableConv2D(
        _CHANNELS, 3, padding="same", use_bias=False, name=f"smoothing_{level}"
    )(features)
    normalised = _normalised(smoothed, f"smoothing_{level}_bn")
    return keras.layers.ReLU(6.0, name=f"smoothing_{level}_relu")(normalised)


def _normalised(features: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name)(features)
