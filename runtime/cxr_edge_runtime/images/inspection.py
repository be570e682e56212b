"""The facts about an image that cleaning a data set needs, at the cost of a thumbnail."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.images.grey import tiff_samples, to_grey
from cxr_edge_runtime.images.opening import decode, opened
from cxr_edge_runtime.images.orientation import QUARTER_TURNS


@dataclass(frozen=True, slots=True)
class Inspection:
    """The facts about an image file.

    Attributes:
        width: width of the upright image, in pixels.
        height: height of the upright image, in pixels.
        mode: Pillow's mode of the stored image.
        jpeg_step: mean step of a JPEG's luma quantization table, 1 being the finest; ``None`` for
            other formats.
        thumbnail: ``[side, side] uint8``, the whole image squashed to a square of cell means.
    """

    width: int
    height: int
    mode: str
    jpeg_step: float | None
    thumbnail: NDArray[np.uint8]


def inspect(content: bytes, *, name: str = "image", side: int) -> Inspection:
    """Check an image that is not a DICOM file as ``load_grey`` does, at the cost of a thumbnail.

    A JPEG's data are read to the end, so a damaged or truncated file is found (Pillow's own
    ``verify`` finds neither), but its pixels are made only as large as the thumbnail needs.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.
        side: of the thumbnail, pixels.

    Raises:
        ImageError: as :func:`cxr_edge_runtime.images.load_grey`.
    """
    with opened(content, name) as image:
        stored, mode, jpeg_step = image.size, image.mode, _jpeg_step(image)
        # Twice the side at least, so that cells are means of what the film shows.
        image.draft("L", (2 * side, 2 * side))
        turn = decode(image)
        upright: Image.Image = image
        # Else it is grey and upright as it is.
        if turn is not None or image.mode != "L" or image.has_transparency_data:
            upright = Image.fromarray(to_grey(image, name, turn=turn, **tiff_samples(image)))
        thumbnail = upright.resize((side, side), Image.Resampling.BOX)
    width, height = stored[::-1] if turn in QUARTER_TURNS else stored
    return Inspection(width, height, mode, jpeg_step, np.asarray(thumbnail))


def inspect_greys(greys: NDArray[np.uint8], *, side: int) -> Inspection:
    """The facts about a film that is decoded already.

    Args:
        greys: ``[H, W] uint8``, upright.
        side: of the thumbnail, pixels.
    """
    thumbnail = Image.fromarray(greys).resize((side, side), Image.Resampling.BOX)
    height, width = greys.shape
    return Inspection(width, height, "L", None, np.asarray(thumbnail))


def _jpeg_step(image: Image.Image) -> float | None:
    # Only JPEG images have the attribute; table 0 is the luma's in every encoder met.
    tables: Mapping[int, list[int]] = getattr(image, "quantization", {})
    return sum(tables[0]) / len(tables[0]) if 0 in tables else None
