"""From grey pixels to model input: the one function that training and classification call."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.typed_json import Bounds

# Raised when the same spec would give other pixels; runs and bundles carry the number they used.
PREPROCESS_VERSION = 1
_RULE = "squash-bicubic"
_OURS = "be {}, the only one that this cxr-edge has"

# Pixels along a side of the model input.
Side = Annotated[int, Bounds(minimum=1, maximum=4096)]


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """How a film becomes model input.

    Attributes:
        height: rows of the model input, pixels.
        width: columns of the model input, pixels.
        rule: ``squash-bicubic``: height and width are scaled independently, with Pillow's
            antialiased bicubic filter, as the 224 px training copies were made.
        version: :data:`PREPROCESS_VERSION` of the code that the model was trained with.
    """

    height: Side = 224
    width: Side = 224
    rule: Annotated[str, Bounds(const=_RULE, must=_OURS.format(_RULE))] = _RULE
    version: Annotated[
        int, Bounds(const=PREPROCESS_VERSION, must=_OURS.format(PREPROCESS_VERSION))
    ] = PREPROCESS_VERSION


def preprocess(pixels: NDArray[np.uint8], spec: PreprocessSpec) -> NDArray[np.uint8]:
    """Resize a grey image to model input.

    An image that already has the target size passes unchanged.

    Args:
        pixels: ``[H, W] uint8`` grey values.
        spec: target size and rule.

    Returns:
        ``[1, spec.height, spec.width, 1] uint8``; scaling to floats happens inside the model.
    """
    if pixels.shape != (spec.height, spec.width):
        image = Image.fromarray(pixels)
        pixels = np.asarray(
            image.resize((spec.width, spec.height), Image.Resampling.BICUBIC), dtype=np.uint8
        )
    return pixels[np.newaxis, :, :, np.newaxis]
