"""From a file or bytes to grey pixels, within the limits of :mod:`cxr_edge_runtime.limits`."""

import contextlib
import hashlib
import stat
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cxr_edge_runtime import limits
from cxr_edge_runtime.dicom import decode_dicom, is_dicom
from cxr_edge_runtime.errors import (
    ImageNotFound,
    ImageNotReadable,
    ImageTooLarge,
    UnreadableImage,
    UnsupportedImage,
)
from cxr_edge_runtime.grey import is_coloured, tiff_samples, to_grey
from cxr_edge_runtime.jpeg_header import check_jpeg, is_jpeg
from cxr_edge_runtime.limits import MAX_PIXELS, MAX_WEBP_PIXELS, MeteredBytes, alone, check_size
from cxr_edge_runtime.native_output import stderr_silenced
from cxr_edge_runtime.tiff_header import check_tiff, is_tiff

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
# Pictures with an activation map are no films.
HEATMAP_SUFFIX = ".heatmap.png"

# A film uses most of the 256 greys; one squeezed into fewer than a quarter was exported wrongly,
# most often 12 bits stored as 16.
_LOW_CONTRAST = 64

# What Pillow's decoders raise on damaged data; SyntaxError is how its PNG reader complains.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError,
    struct.error,
)  # fmt: skip
# A camera's EXIF block has at most 64 KB; a larger one is not worth what reading it may cost.
_MAX_EXIF_BYTES = 100_000
# Flag of an extended WebP; its decoder makes a list of the frames, and there may be millions.
_WEBP_ANIMATED = 2
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
    """Read a file of at most :data:`limits.MAX_BYTES` bytes.

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
            content = file.read(limits.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageNotFound(f"{path}: no such file") from None
    except PermissionError:
        raise ImageNotReadable(f"{path}: permission denied; check the file's rights") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageNotReadable(f"{path}: cannot be read ({error})") from error
    if len(content) > limits.MAX_BYTES:
        raise ImageTooLarge(
            f"{path}: more than {limits.MAX_BYTES // 1_000_000} MB; export a smaller copy"
        )
    if not content:
        raise UnreadableImage(f"{path}: the file is empty")
    return content


def read_grey(path: Path, *, hashed: bool = False) -> GreyImage:
    """Read and decode an image file; see :func:`read_bytes` and :func:`decode_grey`."""
    try:
        n_bytes = path.stat().st_size
    except (OSError, ValueError):
        n_bytes = 0  # reading says what is wrong
    with alone(n_bytes=n_bytes):
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
        ImageTooLarge: more than :data:`limits.MAX_PIXELS` pixels, checked before decoding; or the
            memory of this device is not enough.
        ImageTooSmall: a side shorter than :data:`limits.MIN_SIDE` pixels.
        ImageTooSlow: decoding took more than :data:`limits.MAX_SECONDS`.
    """
    sha256 = hashlib.sha256(content).hexdigest() if hashed else None
    if is_dicom(content):
        film = decode_dicom(content, name=name)
        return GreyImage(film.pixels, "DICOM", "L", film.warnings, film.objections, sha256)
    with _opened(content, name) as image:
        format_, mode = image.format or "", image.mode
        upright, _ = _upright(image)
        objections = ("it is in colour",) if is_coloured(upright) else ()
        pixels = to_grey(upright, name, **tiff_samples(image))
    return GreyImage(pixels, format_, mode, objections=objections, sha256=sha256)


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
            upright = Image.fromarray(to_grey(upright, name, **tiff_samples(image)))
        thumbnail = upright.resize((side, side), Image.Resampling.BOX)
    width, height = stored[::-1] if turn in _QUARTER_TURNS else stored
    return Inspection(width, height, mode, jpeg_step, np.asarray(thumbnail))


@contextlib.contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """The image within the limits on its cost; whatever is wrong with it is our error."""
    _check_header(content, name)
    # libtiff writes its own complaints to the terminal.
    silenced = stderr_silenced() if is_tiff(content) else contextlib.nullcontext()
    try:
        with warnings.catch_warnings(), silenced:
            # Pillow warns of sizes that we refuse, and of damaged metadata that nothing here needs.
            warnings.simplefilter("ignore")
            with Image.open(MeteredBytes(content, name), formats=FORMATS) as image:
                max_pixels = MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
                check_size(image.size, name, max_pixels=max_pixels)
                with alone(pixels=image.width * image.height):
                    yield image
    except Image.DecompressionBombError:
        raise ImageTooLarge(
            f"{name}: far more than {MAX_PIXELS // 1_000_000} million pixels; export a smaller copy"
        ) from None
    except MemoryError:
        raise ImageTooLarge(
            f"{name}: not enough memory on this device to decode it; export a smaller copy"
        ) from None
    except UnidentifiedImageError:
        raise UnreadableImage(f"{name}: not a JPEG, PNG, TIFF, BMP, WebP or DICOM image") from None
    except _DAMAGE as error:
        raise UnreadableImage(
            f"{name}: damaged image ({error}); copy or export it again"
        ) from error


def _check_header(content: bytes, name: str) -> None:
    """Refuse what would cost much as soon as Pillow opens it."""
    if is_tiff(content):
        check_tiff(content, name)
    if is_jpeg(content):
        check_jpeg(content, name)
    if content[12:16] == b"VP8X" and any(flags & _WEBP_ANIMATED for flags in content[20:21]):
        raise UnsupportedImage(f"{name}: an animated WebP; export one frame")


def image_warnings(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """What is suspicious about a decoded image ``[H, W] uint8``, in words for the user."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - low < _LOW_CONTRAST:
        return (
            f"low contrast: greys lie between {low} and {high} of 255, and the answer is worth "
            "little; export the film with its full contrast, 12 bits stretched to 16",
        )
    return ()


def _jpeg_step(image: Image.Image) -> float | None:
    # Only JPEG images have the attribute; table 0 is the luma's in every encoder met.
    tables: Mapping[int, list[int]] = getattr(image, "quantization", {})
    return sum(tables[0]) / len(tables[0]) if 0 in tables else None


def _upright(image: Image.Image) -> tuple[Image.Image, Image.Transpose | None]:
    """The decoded image as it should be seen, and how it was turned for that."""
    image.load()
    try:
        usable = len(image.info.get("exif", b"")) <= _MAX_EXIF_BYTES
        orientation = image.getexif().get(_ORIENTATION) if usable else None
    except _DAMAGE:  # damaged metadata does not make a film unusable
        orientation = None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return (image if turn is None else image.transpose(turn)), turn
