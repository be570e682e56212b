"""From grey pixels to network input: the functions that training and classification call.

Where a bundle has a lung locator it runs in between: film to locator input, its mask to a box, film
and box to classifier input. :class:`cxr_edge_runtime.locator.Preprocessor` does all three.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.typed_json import Bounds

# Of films as a whole, and of the box of the lungs. Raised when the same spec would give other
# pixels; runs and bundles carry the number they used.
WHOLE_FILM_VERSION, LUNG_BOX_VERSION = 1, 2
_RULES = {WHOLE_FILM_VERSION: "squash-bicubic", LUNG_BOX_VERSION: "lung-box-squash-bicubic"}
VERSIONS = tuple(_RULES)

# Pixels along a side of the model input.
Side = Annotated[int, Bounds(minimum=1, maximum=4096)]
# Of the width or height of a film.
_Share = Annotated[float, Bounds(minimum=0, maximum=1)]
# Pixels along a side of the locator's input, and cells along a side of its mask.
LOCATOR_SIDE, LOCATOR_CELLS = 128, 32
# Before the locator's input is interpolated, blocks of pixels are averaged down to at least this
# many times its size, which takes a quarter of the time.
_REDUCING_GAP = 2.0
LOCATOR_REDUCED = int(LOCATOR_SIDE * _REDUCING_GAP)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a film; each side is given as a share of the film's width or height."""

    left: _Share
    top: _Share
    right: _Share
    bottom: _Share

    def widened(self, factor: float) -> "Box":
        """The box ``factor`` times as wide and high about its centre, as far as the film goes."""
        left, right = _widened(self.left, self.right, factor)
        top, bottom = _widened(self.top, self.bottom, factor)
        return Box(left, top, right, bottom)

    def in_pixels(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in a picture of the film."""
        return self.left * width, self.top * height, self.right * width, self.bottom * height


WHOLE_FILM = Box(0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """How a film becomes model input.

    Attributes:
        height: rows of the model input, pixels.
        width: columns of the model input, pixels.
        version: 1, the whole film, or 2, the box of its lungs.
        rule: the same in words. Height and width are scaled independently, with Pillow's
            antialiased bicubic filter, as the 224 px training copies were made.
    """

    height: Side = 224
    width: Side = 224
    rule: Annotated[str, Bounds(choices=tuple(_RULES.values()))] = _RULES[WHOLE_FILM_VERSION]
    version: Annotated[int, Bounds(choices=VERSIONS)] = WHOLE_FILM_VERSION

    @classmethod
    def of_version(cls, version: int, *, size: int) -> "PreprocessSpec":
        """The spec of a version for square model input."""
        return cls(size, size, _RULES[version], version)

    @property
    def is_consistent(self) -> bool:
        """Whether the rule is that of the version."""
        return self.rule == _RULES[self.version]


def preprocess(
    pixels: NDArray[np.uint8], spec: PreprocessSpec, box: Box = WHOLE_FILM
) -> NDArray[np.uint8]:
    """Resize a grey image, or a box of it, to model input.

    An image that already has the target size passes unchanged.

    Args:
        pixels: ``[H, W] uint8`` grey values.
        spec: target size.
        box: what is shown of the image.

    Returns:
        ``[1, spec.height, spec.width, 1] uint8``; scaling to floats happens inside the model.
    """
    if box != WHOLE_FILM or pixels.shape != (spec.height, spec.width):
        height, width = pixels.shape
        resized = Image.fromarray(pixels).resize(
            (spec.width, spec.height),
            Image.Resampling.BICUBIC,
            box=box.in_pixels(width, height),
        )
        pixels = np.asarray(resized, dtype=np.uint8)
    return pixels[np.newaxis, :, :, np.newaxis]


def locator_input(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Squash a grey image ``[H, W] uint8`` to the lung locator's input ``[1, 128, 128, 1]``."""
    squashed = Image.fromarray(pixels).resize(
        (LOCATOR_SIDE, LOCATOR_SIDE), Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP
    )
    return np.asarray(squashed, dtype=np.uint8)[np.newaxis, :, :, np.newaxis]


def _widened(low: float, high: float, factor: float) -> tuple[float, float]:
    more = (high - low) * (factor - 1) / 2
    return max(0.0, low - more), min(1.0, high + more)
