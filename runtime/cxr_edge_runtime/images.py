"""From a file or bytes to grey pixels: every limit on size, format and depth stands here."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cxr_edge_runtime.errors import (
    ImageNotFound,
    ImageNotReadable,
    ImageTooLarge,
    ImageTooSmall,
    UnreadableImage,
    UnsupportedImage,
)

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".webp"})

# The largest flat-panel chest detectors have about 4300 x 4300 pixels; twice that is generous and
# still decodes within a 512 MB device.
MAX_PIXELS = 40_000_000
# 40 million 16-bit pixels without compression, and some room for headers.
MAX_BYTES = 100_000_000
# Below this the ribs themselves can no longer be told apart.
MIN_SIDE = 64

# A 16-bit sample is scaled by its full range: 65535 / 257 = 255 exactly.
_SIXTEEN_TO_EIGHT = 257


@dataclass(frozen=True, slots=True)
class GreyImage:
    """A decoded image.

    Attributes:
        pixels: ``[H, W] uint8``, upright (EXIF rotation applied), 0 is black.
        format: container format as Pillow names it, for example ``JPEG``.
        mode: Pillow's mode of the stored image, for example ``L``, ``RGB`` or ``I;16``.
    """

    pixels: NDArray[np.uint8]
    format: str
    mode: str


def read_bytes(path: Path) -> bytes:
    """Read a file of at most :data:`MAX_BYTES` bytes.

    Raises:
        ImageNotFound: there is no such file.
        ImageNotReadable: it is a folder, or reading is not permitted or failed.
        ImageTooLarge: the file has more bytes than the limit.
        UnreadableImage: the file is empty.
    """
    try:
        if path.is_dir():
            raise ImageNotReadable(f"{path}: is a folder, not an image")
        # One byte more than the limit tells "at the limit" from "beyond it" and bounds memory
        # even where the size on disk cannot be trusted (a pipe, a growing file).
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageNotFound(f"{path}: no such file") from None
    except PermissionError:
        raise ImageNotReadable(f"{path}: permission denied; check the file's rights") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageNotReadable(f"{path}: cannot be read ({error})") from error
    if len(content) > MAX_BYTES:
        raise ImageTooLarge(f"{path}: more than {MAX_BYTES // 1_000_000} MB; export a smaller copy")
    if not content:
        raise UnreadableImage(f"{path}: the file is empty")
    return content


def read_grey(path: Path) -> GreyImage:
    """Read and decode an image file; see :func:`read_bytes` and :func:`decode_grey`."""
    return decode_grey(read_bytes(path), name=str(path))


def decode_grey(content: bytes, *, name: str = "image") -> GreyImage:
    """Decode an encoded image to 8-bit grey.

    Colour is turned to luma (ITU-R 601, as Pillow does), transparency is laid over black, 16-bit
    samples are divided by 257 (their full range, not the range that occurs), EXIF rotation is
    applied. Of several frames the first is taken.

    Args:
        content: the bytes of a JPEG, PNG, TIFF, BMP or WebP file.
        name: what error messages call the image.

    Raises:
        UnreadableImage: not an image of these formats, or damaged.
        UnsupportedImage: samples of more than 16 bits, or floating point.
        ImageTooLarge: more than :data:`MAX_PIXELS` pixels; checked before decoding.
        ImageTooSmall: a side shorter than :data:`MIN_SIDE` pixels.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that we refuse, and of damaged metadata that nothing here needs.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(image.size, name)
                format_, mode = image.format or "", image.mode
                pixels = _to_grey(ImageOps.exif_transpose(image), name)
    except Image.DecompressionBombError:
        raise ImageTooLarge(
            f"{name}: far more than {MAX_PIXELS // 1_000_000} million pixels; export a smaller copy"
        ) from None
    except UnidentifiedImageError:
        raise UnreadableImage(f"{name}: not a JPEG, PNG, TIFF, BMP or WebP image") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError) as error:
        # What Pillow's decoders raise on damaged data; SyntaxError is how its PNG reader complains.
        raise UnreadableImage(f"{name}: damaged image ({error})") from error
    return GreyImage(pixels, format_, mode)


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(
            f"{name}: {width}x{height} pixels, the limit is {MAX_PIXELS // 1_000_000} million; "
            "export a smaller copy"
        )
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmall(f"{name}: {width}x{height} pixels, each side needs at least {MIN_SIDE}")


def _to_grey(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        # Pillow knows big-endian 16 bit as a mode of its own; numpy reads either byte order.
        return _full_range(np.asarray(image))
    if image.mode == "I":
        samples = np.asarray(image)
        if samples.min() < 0 or samples.max() > 65_535:
            raise UnsupportedImage(f"{name}: samples of more than 16 bits; export 8 or 16 bits")
        return _full_range(samples)
    if image.mode == "F":
        raise UnsupportedImage(f"{name}: floating-point samples; export 8 or 16 bits")
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        black = Image.new("RGBA", opaque.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, opaque)
    if image.mode != "L":
        image = image.convert("L")
    return np.array(image, dtype=np.uint8)


def _full_range(samples: NDArray[np.generic]) -> NDArray[np.uint8]:
    rounded = (samples.astype(np.uint32) + _SIXTEEN_TO_EIGHT // 2) // _SIXTEEN_TO_EIGHT
    return rounded.astype(np.uint8)
