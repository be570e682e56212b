"""From a file or bytes to grey pixels: every limit on size, format and depth stands here."""

import contextlib
import io
import stat
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, UnidentifiedImageError

from cxr_edge_runtime.dicom import decode_dicom, is_dicom
from cxr_edge_runtime.errors import (
    ImageNotFound,
    ImageNotReadable,
    ImageTooLarge,
    ImageTooSmall,
    UnreadableImage,
    UnsupportedImage,
)
from cxr_edge_runtime.native_output import stderr_silenced

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".webp"})

# The largest flat-panel chest detectors have about 4300 x 4300 pixels; half as much again is room
# enough. A process that decodes 30 million pixels was measured to peak at 119 MiB for grey, 179 for
# 16 bits, 205 for RGB and 230 for RGBA, within a 512 MB device.
MAX_PIXELS = 30_000_000
# 30 million 16-bit pixels without compression, and some room for headers.
MAX_BYTES = 80_000_000
# Below this the ribs themselves can no longer be told apart.
MIN_SIDE = 64

# A film uses most of the 256 greys; one squeezed into fewer than a quarter was exported wrongly,
# most often 12 bits stored as 16.
_LOW_CONTRAST = 64

# Modes that Pillow can turn to grey; of others, such as LAB, no light and dark is known.
_CONVERTIBLE = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_GREY_MODES = frozenset({"1", "L", "LA"})
# Mean difference of the largest and the smallest channel: 0 for films stored as RGB, a few for
# tinted scans; of photographs most have more.
_MAX_COLOUR = 15
# What Pillow's decoders raise on damaged data; SyntaxError is how its PNG reader complains.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError,
    struct.error,
)  # fmt: skip
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
_QUARTER_TURNS = frozenset({_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8]})
# TIFF tags: bits of a sample, and what the lowest sample means.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MIN_IS_WHITE = 258, 262, 0
# Rows that are read at once, to keep temporary arrays small.
_ROWS = 32


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
    """

    pixels: NDArray[np.uint8]
    format: str
    mode: str
    warnings: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a data set needs to know of an image that it will not show yet.

    Attributes:
        width: upright width, pixels.
        height: upright height, pixels.
        mode: Pillow's mode of the stored image.
        jpeg_step: mean step of a JPEG's luma quantisation table, 1 is the finest; ``None`` for
            other formats.
        thumbnail: ``[side, side] uint8``, the whole image squashed to a square of cell means.
    """

    width: int
    height: int
    mode: str
    jpeg_step: float | None
    thumbnail: NDArray[np.uint8]


def read_bytes(path: Path) -> bytes:
    """Read a file of at most :data:`MAX_BYTES` bytes.

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

    Colour is turned to luma (ITU-R 601, as Pillow does), transparency is laid over black, samples
    of 9 to 16 bits are scaled by their full range (not the range that occurs), EXIF rotation is
    applied. Of several frames the first is taken.

    Args:
        content: the bytes of a JPEG, PNG, TIFF, BMP, WebP or DICOM file; its kind is known by them.
        name: what error messages call the image.

    Raises:
        UnreadableImage: not an image of these formats, or damaged.
        UnsupportedImage: samples of more than 16 bits, or floating point; or DICOM that is no
            single grey frame or needs a package that is not installed.
        ImageTooLarge: more than :data:`MAX_PIXELS` pixels; checked before decoding.
        ImageTooSmall: a side shorter than :data:`MIN_SIDE` pixels.
    """
    if is_dicom(content):
        film = decode_dicom(content, name=name, check_size=_check_size)
        return GreyImage(film.pixels, "DICOM", "L", film.warnings, film.objections)
    with _opened(content, name) as image:
        format_, mode = image.format or "", image.mode
        upright, _ = _upright(image)
        objections = ("it is in colour",) if _is_coloured(upright) else ()
        pixels = _to_grey(upright, name, **_tiff_samples(image))
    return GreyImage(pixels, format_, mode, objections=objections)


def inspect(content: bytes, *, name: str = "image", side: int) -> Inspection:
    """Check an image as :func:`decode_grey` does, for the price of a thumbnail.

    A JPEG's data are read to the end, so a damaged or truncated file is found (Pillow's own
    ``verify`` finds neither), but its pixels are made only as large as the thumbnail needs.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.
        side: of the thumbnail, pixels.

    Raises:
        ImageError: as :func:`decode_grey`; DICOM files are for classification only.
    """
    if is_dicom(content):
        raise UnsupportedImage(f"{name}: a DICOM file; for a data set export it as PNG")
    with _opened(content, name) as image:
        stored, mode, jpeg_step = image.size, image.mode, _jpeg_step(image)
        # Twice the side at least, so that cells are means of what the film shows.
        image.draft("L", (2 * side, 2 * side))
        upright, turn = _upright(image)
        if upright.mode != "L" or upright.has_transparency_data:  # else it is grey as it is
            upright = Image.fromarray(_to_grey(upright, name, **_tiff_samples(image)))
        thumbnail = upright.resize((side, side), Image.Resampling.BOX)
    width, height = stored[::-1] if turn in _QUARTER_TURNS else stored
    return Inspection(width, height, mode, jpeg_step, np.asarray(thumbnail))


@contextlib.contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """The image within the limits on its size; whatever is wrong with it is our error."""
    try:
        with warnings.catch_warnings(), _tiff_silenced(content):
            # Pillow warns of sizes that we refuse, and of damaged metadata that nothing here needs.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_size(image.size, name)
                yield image
    except Image.DecompressionBombError:
        raise ImageTooLarge(
            f"{name}: far more than {MAX_PIXELS // 1_000_000} million pixels; export a smaller copy"
        ) from None
    except UnidentifiedImageError:
        raise UnreadableImage(f"{name}: not a JPEG, PNG, TIFF, BMP, WebP or DICOM image") from None
    except _DAMAGE as error:
        raise UnreadableImage(f"{name}: damaged image ({error})") from error


def image_warnings(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """What is suspicious about a decoded image ``[H, W] uint8``, in words for the user."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - low < _LOW_CONTRAST:
        return (
            f"low contrast: greys lie between {low} and {high} of 255; 16-bit images are scaled "
            "by their full range, so export 8 bits or stretch 12 bits to 16",
        )
    return ()


def _tiff_silenced(content: bytes) -> contextlib.AbstractContextManager[None]:
    # libtiff writes its own complaints to the terminal.
    is_tiff = content[:2] in (b"II", b"MM")
    return stderr_silenced() if is_tiff else contextlib.nullcontext()


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(
            f"{name}: {width}x{height} pixels, the limit is {MAX_PIXELS // 1_000_000} million; "
            "export a smaller copy"
        )
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmall(f"{name}: {width}x{height} pixels, each side needs at least {MIN_SIDE}")


def _is_coloured(image: Image.Image) -> bool:
    if image.mode in _GREY_MODES or image.mode not in _CONVERTIBLE:
        return False
    small = image.convert("RGB") if image.mode in ("P", "PA") else image
    small = small.resize((64, 64), Image.Resampling.BOX).convert("RGB")
    channels = np.asarray(small).astype(np.int16)
    return float((channels.max(axis=2) - channels.min(axis=2)).mean()) > _MAX_COLOUR


def _jpeg_step(image: Image.Image) -> float | None:
    # Only JPEG images have the attribute; table 0 is the luma's in every encoder met.
    tables: Mapping[int, list[int]] = getattr(image, "quantization", {})
    return sum(tables[0]) / len(tables[0]) if 0 in tables else None


def _upright(image: Image.Image) -> tuple[Image.Image, Image.Transpose | None]:
    """The decoded image as it should be seen, and how it was turned for that."""
    image.load()
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except _DAMAGE:  # damaged metadata does not make a film unusable
        orientation = None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return (image if turn is None else image.transpose(turn)), turn


def _tiff_samples(image: Image.Image) -> dict[str, Any]:
    """What Pillow leaves to the caller for TIFF samples of more than 8 bits."""
    if image.format != "TIFF":
        return {}
    tags: Mapping[int, Any] = getattr(image, "tag_v2")  # noqa: B009  # only TIFF images have it
    bits = tags.get(_BITS_PER_SAMPLE, (16,))
    return {
        "bits": bits[0] if 8 < bits[0] <= 16 else 16,
        "min_is_white": tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE,
    }


def _to_grey(
    image: Image.Image, name: str, *, bits: int = 16, min_is_white: bool = False
) -> NDArray[np.uint8]:
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
