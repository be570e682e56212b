"""From a decoded image of any mode to 8-bit grey pixels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from cxr_edge_runtime.errors import UnsupportedImage

# Modes that Pillow can turn to grey; of others, such as LAB, no light and dark is known.
_CONVERTIBLE = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_GREY_MODES = frozenset({"1", "L", "LA"})
# Mean difference of the largest and the smallest channel: 0 for films stored as RGB, a few for
# tinted scans; of photographs most have more.
_MAX_COLOUR = 15
# TIFF tags: bits of a sample, and what the lowest sample means.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MIN_IS_WHITE = 258, 262, 0
# Rows that are read at once, to keep temporary arrays small.
_ROWS = 32


def is_coloured(image: Image.Image) -> bool:
    """Return whether a decoded image shows colours; one stored as RGB may show none."""
    if image.mode in _GREY_MODES or image.mode not in _CONVERTIBLE:
        return False
    small = image.convert("RGB") if image.mode in ("P", "PA") else image
    small = small.resize((64, 64), Image.Resampling.BOX).convert("RGB")
    channels = np.asarray(small).astype(np.int16)
    return float((channels.max(axis=2) - channels.min(axis=2)).mean()) > _MAX_COLOUR


def tiff_samples(image: Image.Image) -> dict[str, Any]:
    """Read what Pillow ignores of a TIFF whose samples have more than 8 bits.

    Returns:
        The keyword arguments ``bits`` and ``min_is_white`` of :func:`to_grey`; empty for other
        formats.
    """
    if image.format != "TIFF":
        return {}
    tags: Mapping[int, Any] = getattr(image, "tag_v2")  # noqa: B009  # only TIFF images have it
    bits = tags.get(_BITS_PER_SAMPLE, (16,))
    return {
        "bits": bits[0] if 8 < bits[0] <= 16 else 16,
        "min_is_white": tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE,
    }


def to_grey(
    image: Image.Image, name: str, *, bits: int = 16, min_is_white: bool = False
) -> NDArray[np.uint8]:
    """Convert a decoded image of any mode to 8-bit grey.

    Args:
        image: the decoded image.
        name: what error messages call the image.
        bits: bits of a sample, for modes of 16 bits.
        min_is_white: whether the lowest sample is white, for modes of 16 bits.

    Returns:
        ``[H, W] uint8``, 0 is black.

    Raises:
        UnsupportedImage: the samples have more than 16 bits or are floating point, or the colour
            mode has no known brightness.
    """
    # Pillow knows big-endian 16 bit as a mode of its own; numpy reads either byte order.
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _read_rows(image, _full_range(name, bits, min_is_white=min_is_white))
    if image.mode == "F":
        raise UnsupportedImage(f"{name}: floating-point samples; export 8 or 16 bits")
    if image.mode not in _CONVERTIBLE:
        raise UnsupportedImage(f"{name}: colour mode {image.mode}; export grey or RGB")
    if image.has_transparency_data:
        if image.mode not in ("RGBA", "LA"):
            image = image.convert("RGBA")
        image = ImageChops.multiply(image.convert("L"), image.getchannel("A"))
    if image.mode != "L":
        image = image.convert("L")
    return _read_rows(image, lambda samples: samples)


def _read_rows(
    image: Image.Image, to_grey: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[np.uint8]:
    """Read an image some rows at a time; numpy's own way would hold it three times in memory."""
    grey = np.empty((image.height, image.width), dtype=np.uint8)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        grey[top:bottom] = to_grey(np.asarray(image.crop((0, top, image.width, bottom))))
    return grey


def _full_range(
    name: str, bits: int, *, min_is_white: bool
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Samples of 0 to ``2**bits - 1`` as 0 to 255, rounded; turned round for ``min_is_white``."""
    highest = 2**bits - 1
    scale = np.round(np.arange(highest + 1) * (255 / highest)).astype(np.uint8)
    if min_is_white:
        scale = scale[::-1]

    def to_grey(samples: NDArray[Any]) -> NDArray[Any]:
        if samples.min() < 0 or samples.max() > highest:
            raise UnsupportedImage(f"{name}: samples of more than {bits} bits; export 8 or 16 bits")
        grey: NDArray[Any] = scale[samples]
        return grey

    return to_grey
