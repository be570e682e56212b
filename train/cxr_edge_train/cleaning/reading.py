"""What a single file holds; the only module that the reading processes import."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import PIL

from cxr_edge_runtime.errors import ImageError, UnreadableImage
from cxr_edge_runtime.images import read_bytes
from cxr_edge_runtime.images.decoding_limits import MAX_BYTES, MAX_PIXELS, MIN_SIDE
from cxr_edge_runtime.images.dicom import decode_dicom, is_dicom
from cxr_edge_runtime.images.inspection import inspect, inspect_greys
from cxr_edge_train.cleaning.dicom_header import DicomHeader, read_dicom_header

# Side of the square grey copy by which near-duplicates are found, pixels.
THUMBNAIL_SIDE = 32

# Files remembered by another reader are read again: increase the first number when this module or
# the decoder changes what it finds.
READER = f"4 {MAX_PIXELS} {MAX_BYTES} {MIN_SIDE} {THUMBNAIL_SIDE} {PIL.__version__}"


class FileFacts(NamedTuple):
    """What a file holds, regardless of its name and folder.

    Attributes:
        md5: hexadecimal; empty when the bytes could not be read.
        size: bytes of the file.
        width: upright width in pixels, 0 when it cannot be decoded.
        height: upright height in pixels, 0 when it cannot be decoded.
        mode: Pillow's mode of the stored image.
        jpeg_step: see :class:`cxr_edge_runtime.images.inspection.Inspection`.
        thumbnail: ``THUMBNAIL_SIDE * THUMBNAIL_SIDE`` grey values, row by row.
        error: why the file cannot be used, as text; empty for a usable image. With a header it is
            what DICOM says against a frontal chest X-ray.
        header: of a DICOM file; None of others.
    """

    md5: str
    size: int = 0
    width: int = 0
    height: int = 0
    mode: str = ""
    jpeg_step: float | None = None
    thumbnail: bytes = b""
    error: str = ""
    header: DicomHeader | None = None


def read_facts(paths: Sequence[str]) -> list[FileFacts]:
    """Read, hash and decode each file.

    Args:
        paths: the files to read.

    Returns:
        The facts of each file, in the given order; a file that cannot be used has an ``error``.
    """
    return [_read(Path(path)) for path in paths]


def _read(path: Path) -> FileFacts:
    try:
        content = read_bytes(path)
    except ImageError as error:
        return FileFacts("", error=str(error))
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    header = None
    try:
        if is_dicom(content):
            film = decode_dicom(content, name=path.name)
            image = inspect_greys(film.pixels, side=THUMBNAIL_SIDE)
            header = _header(content, film.age, path.name)
            if film.objections:
                return FileFacts(md5, len(content), error=film.objections[0], header=header)
        else:
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
        header=header,
    )


def _header(content: bytes, age: float | None, name: str) -> DicomHeader:
    try:
        return read_dicom_header(content, age, name=name)
    except ImageError:
        raise
    except Exception as error:  # its text may hold values of the file
        raise UnreadableImage(f"{name}: damaged DICOM file ({type(error).__name__})") from None
