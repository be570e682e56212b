"""How well a mask covers the lungs: the loss, Dice, and the share of the lungs that a box holds."""

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.preprocess import Box

# Weight of Dice beside the cross-entropy of cells, which alone is content with the many cells that
# are no lung.
_DICE = 0.5


def loss_on_mask(outline: keras.KerasTensor, mask: keras.KerasTensor) -> keras.KerasTensor:
    """The loss of logits ``[N, 32, 32, 1]`` against the share of each cell that is lung.

    It is the mean cross-entropy of the cells, and half of one minus Dice (Milletari et al. 2016,
    "V-Net"), of probabilities.
    """
    crossed = keras.losses.binary_crossentropy(outline, mask, from_logits=True)
    lung = keras.ops.sigmoid(mask)
    shared = keras.ops.sum(lung * outline, axis=(1, 2, 3))
    cells = keras.ops.sum(lung + outline, axis=(1, 2, 3))
    overlap = (2 * shared + 1) / (cells + 1)
    return keras.ops.mean(crossed) + _DICE * (1 - keras.ops.mean(overlap))


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Dice ``[N]`` of masks ``[N, h, w]``: twice the shared cells by all; 1 of two empty masks."""
    shared = (one & other).sum(axis=(1, 2))
    cells = one.sum(axis=(1, 2)) + other.sum(axis=(1, 2))
    overlap: NDArray[np.float64] = np.where(cells > 0, 2 * shared / np.maximum(cells, 1), 1.0)
    return overlap


def share_inside(mask: NDArray[np.uint8], box: Box) -> float:
    """The share of a mask ``[H, W] uint8`` inside a box; pixels at its edge count whole."""
    height, width = mask.shape
    rows = slice(int(box.top * height), int(np.ceil(box.bottom * height)))
    columns = slice(int(box.left * width), int(np.ceil(box.right * width)))
    return float(mask[rows, columns].sum(dtype=np.float64) / max(1.0, mask.sum(dtype=np.float64)))


def true_box(mask: NDArray[np.uint8]) -> Box:
    """The smallest box that holds a mask ``[H, W] uint8``, which is not empty."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(
        float(columns[0] / width),
        float(rows[0] / height),
        float((columns[-1] + 1) / width),
        float((rows[-1] + 1) / height),
    )
