"""From a decoded image of any mode to 8-bit grey pixels, upright."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import LARGE_PIXELS
from cxr_edge_runtime.images.orientation import QUARTER_TURNS, as_stored

# Modes that Pillow can turn to grey; of others, such as LAB, no light and dark is known.
_CONVERTIBLE = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_GREY_MODES = frozenset({"1", "L", "LA"})
# Mean difference of the largest and the smallest channel: 0 for films stored as RGB, a few for
# tinted scans; of photographs most have more.
_MAX_COLOUR = 15
_COLOUR_SIDE = 64
# TIFF tags: bits of a sample, and what the lowest sample means.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MIN_IS_WHITE = 258, 262, 0
# Rows that are converted at once, to keep temporary arrays small.
_ROWS = 64


def is_coloured(image: Image.Image) -> bool:
    """Return whether a decoded image shows colours; one stored as RGB may show none."""
    if image.mode in _GREY_MODES or image.mode not in _CONVERTIBLE:
        return False
    # A large one row by row, since Pillow would copy all of it to shrink it.
    rows = 1 if image.width * image.height > LARGE_PIXELS else _COLOUR_SIDE
    differences = [_difference(image, row, row + rows) for row in range(0, _COLOUR_SIDE, rows)]
    return float(np.mean(differences)) > _MAX_COLOUR


def _difference(image: Image.Image, first: int, last: int) -> float:
    """Mean difference of the channels in some rows of a small copy."""
    top, bottom = (row * image.height / _COLOUR_SIDE for row in (first, last))
    start, end = int(top), min(image.height, int(np.ceil(bottom)))
    part = image if last - first == _COLOUR_SIDE else image.crop((0, start, image.width, end))
    part = part.convert("RGB") if part.mode in ("P", "PA") else part
    small = part.resize(
        (_COLOUR_SIDE, last - first),
        Image.Resampling.BOX,
        box=(0, top - start, image.width, bottom - start),
    )
    channels = np.asarray(small.convert("RGB")).astype(np.int16)
    return float((channels.max(axis=2) - channels.min(axis=2)).mean())


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
    image: Image.Image,
    name: str,
    *,
    turn: Image.Transpose | None = None,
    bits: int = 16,
    min_is_white: bool = False,
) -> NDArray[np.uint8]:
    """Convert a decoded image of any mode to 8-bit grey.

    It is converted some rows at a time, and each is stored at its upright place: of a large film
    in colour there is no memory for a second copy.

    Args:
        image: the decoded image.
        name: what error messages call the image.
        turn: what makes it upright.
        bits: bits of a sample, for modes of 16 bits.
        min_is_white: whether the lowest sample is white, for modes of 16 bits.

    Returns:
        ``[H, W] uint8``, upright, 0 is black.

    Raises:
        UnsupportedImage: the samples have more than 16 bits or are floating point, or the colour
            mode has no known brightness.
    """
    convert = _conversion(image, name, bits, min_is_white=min_is_white)
    size = (image.width, image.height) if turn in QUARTER_TURNS else (image.height, image.width)
    upright = np.empty(size, dtype=np.uint8)
    stored = as_stored(upright, turn)
    for top in range(0, image.height, _ROWS):
        bottom = min(top + _ROWS, image.height)
        stored[top:bottom] = convert(image.crop((0, top, image.width, bottom)))
    return upright


def _conversion(
    image: Image.Image, name: str, bits: int, *, min_is_white: bool
) -> Callable[[Image.Image], NDArray[Any]]:
    """What turns some rows of an image to grey."""
    # Pillow knows big-endian 16 bit as a mode of its own; numpy reads either byte order.
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Of a PNG of 16 bits; Pillow leaves it to others.
        transparent = image.info.get("transparency") if image.format == "PNG" else None
        to_grey = _full_range(name, bits, min_is_white=min_is_white, transparent=transparent)
        return lambda rows: to_grey(np.asarray(rows))
    if image.mode == "F":
        raise UnsupportedImage(f"{name}: floating-point samples; export it with 8 or 16 bits")
    if image.mode not in _CONVERTIBLE:
        raise UnsupportedImage(f"{name}: colour mode {image.mode}; export it as grey or RGB")
    if image.has_transparency_data and not _is_alpha_unused(image):
        return _over_black
    return lambda rows: np.asarray(rows if rows.mode == "L" else rows.convert("L"))


def _is_alpha_unused(image: Image.Image) -> bool:
    """Whether it is a BMP whose fourth byte is 0 everywhere, as many programs write it."""
    return (
        image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getbbox() is None
    )


def _over_black(rows: Image.Image) -> NDArray[Any]:
    if rows.mode not in ("RGBA", "LA"):
        rows = rows.convert("RGBA")
    return np.asarray(ImageChops.multiply(rows.convert("L"), rows.getchannel("A")))


def _full_range(
    name: str, bits: int, *, min_is_white: bool, transparent: int | None
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Samples of 0 to ``2**bits - 1`` as 0 to 255, rounded; turned round for ``min_is_white``.

    One value may be transparent, which is black.
    """
    highest = 2**bits - 1
    scale = np.round(np.arange(highest + 1) * (255 / highest)).astype(np.uint8)
    if min_is_white:
        scale = scale[::-1]
    if transparent is not None:
        scale[transparent] = 0

    def to_grey(samples: NDArray[Any]) -> NDArray[Any]:
        if samples.min() < 0 or samples.max() > highest:
            raise UnsupportedImage(
                f"{name}: samples of more than {bits} bits; export it with 8 or 16 bits"
            )
        grey: NDArray[Any] = scale[samples]
        return grey

    return to_grey
