"""A locator in TFLite and ONNX with INT8 weights, and how far its boxes differ from Keras'.

It computes in float: INT8 activations moved the box of one adult in seven by more than a cell.
"""

import keras
import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.formats.models import float32_model, weight_only_model
from cxr_edge_runtime.bundle.manifest import LOCATOR_INPUT, LOCATOR_OUTPUTS
from cxr_edge_runtime.engines import open_model
from cxr_edge_runtime.errors import ConversionError, LimitMissed
from cxr_edge_train.locator.measuring import boxes_of, side_distances
from cxr_edge_train.locator.overlap import dice
from cxr_edge_train.locator_folder import LocatorCheck
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.intervals import wilson_interval

MAX_BYTES = 550_000
# A box has moved where one of its sides lies more than so many cells of 32 away.
_CELLS = 1.0
_MAX_MOVED = 0.01


def convert_locator(model: keras.Model, format: str) -> bytes:
    """A locator, whose kernels lie on a grid of 8 bits, in another format with INT8 weights.

    Args:
        model: see :func:`cxr_edge_train.locator.grid.snap_kernels`.
        format: ``tflite`` or ``onnx``.

    Raises:
        ConversionError: the format cannot express it, or it takes too many bytes.
    """
    converted = weight_only_model(float32_model(model, format), format)
    if len(converted) > MAX_BYTES:
        raise ConversionError(
            f"the {format} locator has {len(converted)} bytes, at most {MAX_BYTES} are allowed"
        )
    return converted


def compare_locator(
    converted: bytes,
    format: str,
    inputs: NDArray[np.uint8],
    masks: NDArray[np.float32],
    *,
    progress: ProgressFactory = no_progress,
) -> LocatorCheck:
    """Run a converted locator in the engine of its format, and compare its boxes with Keras'.

    Args:
        converted: bytes of the file.
        format: ``tflite`` or ``onnx``.
        inputs: ``[N, 128, 128, 1] uint8``.
        masks: the Keras model's logits ``[N, 32, 32]`` of them.
        progress: makes the progress bar over the films.

    Raises:
        LimitMissed: the box moves by more than a cell in more than 1% of the films, or only one of
            the two finds lungs in a film.
    """
    engine = open_model(converted, format, LOCATOR_INPUT, LOCATOR_OUTPUTS)
    films = progress(f"verifying {format}")(inputs[:, np.newaxis], len(inputs))
    found = np.stack([engine.run(film)["mask"][0, ..., 0] for film in films])
    pairs = list(zip(boxes_of(masks), boxes_of(found)))
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    moved = 0
    if both:
        ones, others = zip(*both)
        moved = int((side_distances(ones, others).max(axis=1) > _CELLS).sum())
    check = LocatorCheck(
        dice=float(dice(masks > 0, found > 0).mean()),
        moved=wilson_interval(moved, len(pairs)),
        found_changed=sum((one is None) != (other is None) for one, other in pairs),
        largest_difference=float(np.abs(found - masks).max()),
        unequal=sum(one != other for one, other in pairs),
    )
    if check.moved.value > _MAX_MOVED or check.found_changed:
        raise LimitMissed(
            f"the {format} locator differs from the Keras model: of {len(pairs)} validation films "
            f"the box moved by more than a cell in {moved} (limit {_MAX_MOVED:.0%}), and only one "
            f"of the two found lungs in {check.found_changed} (limit 0)"
        )
    return check
