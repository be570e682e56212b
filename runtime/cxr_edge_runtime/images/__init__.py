"""From a file or bytes to grey pixels, within the limits of :mod:`.decoding_limits`."""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageNotFound, ImageNotReadable
from cxr_edge_runtime.images import decoding_limits
from cxr_edge_runtime.images.dicom import decode_dicom, is_dicom
from cxr_edge_runtime.images.grey import is_coloured, tiff_samples, to_grey
from cxr_edge_runtime.images.opening import opened, turned_upright

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
# Pictures with an activation map are no films.
HEATMAP_SUFFIX = ".heatmap.png"

# A film uses most of the 256 greys; one squeezed into fewer than a quarter was exported wrongly,
# most often 12 bits stored as 16.
_LOW_CONTRAST = 64


@dataclass(frozen=True, slots=True)
class GreyImage:
    """A decoded image.

    Attributes:
        pixels: ``[H, W] uint8``, upright (EXIF rotation applied), 0 is black.
        format: container format as Pillow names it, for example ``JPEG``; or ``DICOM``.
        mode: Pillow's mode of the stored image, for example ``L``, ``RGB`` or ``I;16``; ``L`` of
            DICOM, which is always grey.
        warnings: what had to be assumed, in words for the user.
        objections: what in the file speaks against a frontal chest X-ray, in words.
        sha256: of the file, hexadecimal, where it was asked for.
    """

    pixels: NDArray[np.uint8]
    format: str
    mode: str
    warnings: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    sha256: str | None = None


def read_bytes(path: Path) -> bytes:
    """Read a file of at most :data:`decoding_limits.MAX_BYTES` bytes.

    Raises:
        ImageNotFound: there is no such file.
        ImageNotReadable: it is no regular file, or reading is not permitted or failed.
        ImageTooLarge: the file has more bytes than the limit.
        UnreadableImage: the file is empty.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ImageNotReadable(f"{path}: is a folder, not an image")
        if not stat.S_ISREG(kind):
            # Opening a pipe would wait for a writer.
            raise ImageNotReadable(f"{path}: is a pipe or device, not an image file")
        # One byte more than the limit tells "at the limit" from "beyond it" and bounds memory
        # even when the file grows meanwhile.
        with path.open("rb") as file:
            content = file.read(decoding_limits.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageNotFound(f"{path}: no such file") from None
    except PermissionError:
        raise ImageNotReadable(f"{path}: permission denied; check the file's rights") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageNotReadable(f"{path}: cannot be read ({error})") from error
    decoding_limits.check_bytes(content, str(path))
    return content


def read_grey(path: Path, *, hashed: bool = False) -> GreyImage:
    """Read and decode an image file; see :func:`read_bytes` and :func:`decode_grey`."""
    try:
        n_bytes = path.stat().st_size
    except (OSError, ValueError):
        n_bytes = 0  # reading says what is wrong
    with decoding_limits.alone(n_bytes=n_bytes):
        return decode_grey(read_bytes(path), name=str(path), hashed=hashed)


def decode_grey(content: bytes, *, name: str = "image", hashed: bool = False) -> GreyImage:
    """Decode an encoded image to 8-bit grey.

    Colour is turned to luma (ITU-R 601, as Pillow does), transparency is laid over black, samples
    of 9 to 16 bits are scaled by their full range (not the range that occurs), EXIF rotation is
    applied. Of several frames the first is taken, but an animated WebP is refused.

    Args:
        content: the bytes of a JPEG, PNG, TIFF, BMP, WebP or DICOM file; its kind is known by them.
        name: what error messages call the image.
        hashed: give the file's SHA-256 too, which costs as much as a tenth of the decoding on a
            processor without instructions for it.

    Raises:
        UnreadableImage: not an image of these formats, or damaged.
        UnsupportedImage: of a kind that is not taken, such as samples of more than 16 bits or in
            floating point, LAB colours, or an animated WebP; or DICOM that is no single grey frame
            or needs a package that is not installed.
        ImageTooLarge: more than :data:`decoding_limits.MAX_PIXELS` pixels, checked before decoding;
            or the memory of this device is not enough.
        ImageTooSmall: a side shorter than :data:`decoding_limits.MIN_SIDE` pixels.
        ImageTooSlow: decoding took more than :data:`decoding_limits.MAX_SECONDS`.
    """
    sha256 = hashlib.sha256(content).hexdigest() if hashed else None
    if is_dicom(content):
        film = decode_dicom(content, name=name)
        return GreyImage(film.pixels, "DICOM", "L", film.warnings, film.objections, sha256)
    with opened(content, name) as image:
        format_, mode = image.format or "", image.mode
        upright, _ = turned_upright(image)
        objections = ("it is in colour",) if is_coloured(upright) else ()
        pixels = to_grey(upright, name, **tiff_samples(image))
    return GreyImage(pixels, format_, mode, objections=objections, sha256=sha256)


def image_warnings(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """What is suspicious about a decoded image ``[H, W] uint8``, in words for the user."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - low < _LOW_CONTRAST:
        return (
            f"low contrast: greys lie between {low} and {high} of 255, and the answer is worth "
            "little; export the film with its full contrast, 12 bits stretched to 16",
        )
    return ()
