"""Kernels on a grid of 8 bits, so that a file with INT8 weights computes what the network does.

The range of each output channel becomes 127 steps to either side of zero. Folding a batch
normalisation multiplies a channel by one number, so folded kernels lie on such a grid, too.
"""

import keras
import numpy as np
from numpy.typing import NDArray

_STEPS = 127
# Axes of a kernel [h, w, in, out] and of a depthwise one [h, w, channels, 1] that one step is for.
_OF_OUTPUT, _OF_DEPTHWISE = (0, 1, 2), (0, 1, 3)


def snap_kernels(model: keras.Model) -> None:
    """Move every weight of a convolution to the nearest point of its channel's grid."""
    for layer in model._flatten_layers():
        for name, axes in (
            ("depthwise_kernel", _OF_DEPTHWISE),
            ("pointwise_kernel", _OF_OUTPUT),
            ("kernel", _OF_DEPTHWISE if _is_depthwise(layer) else _OF_OUTPUT),
        ):
            kernel = getattr(layer, name, None)
            if isinstance(kernel, keras.Variable):
                kernel.assign(_snapped(keras.ops.convert_to_numpy(kernel), axes))


def _is_depthwise(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.DepthwiseConv2D)


def _snapped(kernel: NDArray[np.float32], axes: tuple[int, ...]) -> NDArray[np.float32]:
    step = np.abs(kernel).max(axis=axes, keepdims=True) / np.float32(_STEPS)
    step[step == 0] = 1  # a channel of zeros
    snapped: NDArray[np.float32] = (np.round(kernel / step) * step).astype(np.float32)
    return snapped
