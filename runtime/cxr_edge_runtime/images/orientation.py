"""How a stored image is turned upright, as its EXIF or XMP metadata say."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# A camera's EXIF block has at most 64 KB; a larger one is not worth what reading it may cost.
# ImageMagick writes it into a PNG as text, two characters a byte.
_MAX_EXIF_BYTES = {"exif": 100_000, "Raw profile type exif": 250_000}
# EXIF tag, and what makes the stored image upright for each of its values.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTER_TURNS = frozenset({_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8]})
_Pixels = NDArray[np.uint8]
# Upright pixels as they are stored, without a copy.
_AS_STORED: dict[Image.Transpose | None, Callable[[_Pixels], _Pixels]] = {
    None: lambda upright: upright,
    _UPRIGHT[2]: lambda upright: upright[:, ::-1],
    _UPRIGHT[3]: lambda upright: upright[::-1, ::-1],
    _UPRIGHT[4]: lambda upright: upright[::-1],
    _UPRIGHT[5]: lambda upright: upright.T,
    _UPRIGHT[6]: lambda upright: upright.T[::-1],
    _UPRIGHT[7]: lambda upright: upright[::-1, ::-1].T,
    _UPRIGHT[8]: lambda upright: upright.T[:, ::-1],
}


def turn_of(image: Image.Image) -> Image.Transpose | None:
    """What makes a decoded image upright; None where nothing need be done.

    Args:
        image: decoded, since a PNG's metadata may follow its pixels.

    Raises:
        UnreadableImage: the metadata cost too much.
        OSError: or what else Pillow raises where they are damaged.
    """
    for place, limit in _MAX_EXIF_BYTES.items():
        if len(image.info.get(place, b"")) > limit:
            return None
    exif: Any = image.info.get("exif")
    if isinstance(exif, bytes):
        from cxr_edge_runtime.images.directories import check_block

        check_block(exif, "", what="EXIF")
    orientation = image.getexif().get(_ORIENTATION)
    return _UPRIGHT.get(orientation) if isinstance(orientation, int) else None


def as_stored(upright: NDArray[np.uint8], turn: Image.Transpose | None) -> NDArray[np.uint8]:
    """A view of upright pixels in which they lie as they are stored.

    Args:
        upright: ``[H, W] uint8``.
        turn: what makes the stored pixels upright.

    Returns:
        A view ``[H, W] uint8``, of the stored height and width.
    """
    return _AS_STORED[turn](upright)
