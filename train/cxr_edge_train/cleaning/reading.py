"""What one file says of itself; all that the reading processes import."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import PIL

from cxr_edge_runtime.errors import ImageError
from cxr_edge_runtime.images import read_bytes
from cxr_edge_runtime.images.decoding_limits import MAX_BYTES, MAX_PIXELS, MIN_SIDE
from cxr_edge_runtime.images.inspection import inspect

# Side of the square grey copy that near-duplicates are told by.
THUMBNAIL_SIDE = 32

# Facts remembered by another reader are read anew: count up the first number when this module or
# the decoder changes what it finds.
READER = f"2 {MAX_PIXELS} {MAX_BYTES} {MIN_SIDE} {THUMBNAIL_SIDE} {PIL.__version__}"


class FileFacts(NamedTuple):
    """What a file holds, whatever its name and folder mean.

    Attributes:
        md5: hexadecimal; empty when the bytes could not be read.
        size: bytes of the file.
        width: upright width in pixels, 0 when it cannot be decoded.
        height: upright height in pixels, 0 when it cannot be decoded.
        mode: Pillow's mode of the stored image.
        jpeg_step: see :class:`cxr_edge_runtime.images.inspection.Inspection`.
        thumbnail: :data:`THUMBNAIL_SIDE` squared grey values, row by row.
        error: why it cannot be used, in words; empty for a usable image.
    """

    md5: str
    size: int = 0
    width: int = 0
    height: int = 0
    mode: str = ""
    jpeg_step: float | None = None
    thumbnail: bytes = b""
    error: str = ""


def read_facts(paths: Sequence[str]) -> list[FileFacts]:
    """Read, hash and check each file."""
    return [_read(Path(path)) for path in paths]


def _read(path: Path) -> FileFacts:
    try:
        content = read_bytes(path)
    except ImageError as error:
        return FileFacts("", error=str(error))
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    try:
        image = inspect(content, name=path.name, side=THUMBNAIL_SIDE)
    except ImageError as error:
        return FileFacts(md5, len(content), error=str(error))
    return FileFacts(
        md5,
        len(content),
        image.width,
        image.height,
        image.mode,
        image.jpeg_step,
        image.thumbnail.tobytes(),
    )
