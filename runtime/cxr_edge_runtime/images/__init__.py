"""From an image of any kind to grey pixels, within the limits of :mod:`.decoding_limits`."""

import hashlib
import os
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.errors import ImageNotFound, ImageNotReadable, UnsupportedImage
from cxr_edge_runtime.images import decoding_limits
from cxr_edge_runtime.images.dicom import PREAMBLE_BYTES, decode_dicom, is_dicom
from cxr_edge_runtime.images.grey import is_coloured, tiff_samples, to_grey
from cxr_edge_runtime.images.opening import decode, given, opened

SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom"})
# Pictures with an activation map are no films.
HEATMAP_SUFFIX = ".heatmap.png"

# A film uses most of the 256 greys, of 720 films the palest 143. One with much fewer was exported
# wrongly, most often 12 bits stored as 16, and may get another answer.
_LOW_CONTRAST = 96

_UNNAMED = "image"
_ARRAY = "a NumPy array of shape [H, W] and dtype uint8, 0 being black"


# eq=False: of two arrays, == is an array, not an answer.
@dataclass(frozen=True, slots=True, eq=False)
class GreyImage:
    """A decoded image.

    Attributes:
        pixels: ``[H, W] uint8``, upright (EXIF rotation applied), 0 is black.
        format: container format as Pillow names it, for example ``JPEG``; or ``DICOM``.
        mode: Pillow's mode of the stored image, for example ``L``, ``RGB`` or ``I;16``; ``L`` of
            DICOM, which is always grey.
        warnings: what had to be assumed, as text for the user.
        objections: what in the file speaks against a frontal chest X-ray, as text for the user.
        age: of the patient, in years, from DICOM; None where the file does not say, NaN where what
            it says cannot be understood.
        sha256: hexadecimal SHA-256 of the file, or of shape and pixels where there was no file;
            None where it was not asked for.
        decode_ms: milliseconds that reading and decoding took.
    """

    pixels: NDArray[np.uint8]
    format: str
    mode: str
    warnings: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    age: float | None = None
    sha256: str | None = None
    decode_ms: float = 0.0


# What can be classified; of an array ``[H, W] uint8``.
ImageSource = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | Image.Image
    | NDArray[np.uint8]
    | GreyImage
)


def is_image_file(path: Path) -> bool:
    """Whether a file is meant to be an image: by its name, or as DICOM by its first bytes.

    Scanners and archives name DICOM files by numbers with dots in them, or by anything else.
    """
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_dicom(file.read(PREAMBLE_BYTES))
    except OSError:
        return False


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
        raise ImageNotReadable(f"{path}: permission denied; check the file's permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise ImageNotReadable(f"{path}: cannot be read ({error})") from error
    decoding_limits.check_bytes(content, str(path))
    return content


def load_grey(
    image: ImageSource,
    *,
    name: str | None = None,
    hashed: bool = False,
    least_side: int | None = None,
) -> GreyImage:
    """Turn an image of any kind that cxr-edge takes into grey pixels.

    Colour is turned to luma (ITU-R 601, as Pillow does), transparency is laid over black, samples
    of 9 to 16 bits are scaled by their full range (not the range that occurs), EXIF rotation is
    applied. A Pillow image is converted as a file of its mode. A file of several pages or pictures
    is refused, unless the others are marked as smaller copies of the first: the previews of a
    camera's JPEG, or the levels of a TIFF. Of a Pillow image the frame that it stands at is taken.

    Args:
        image: the path of a JPEG, PNG, TIFF, BMP, WebP or DICOM file; the bytes of such a file,
            whose kind is known by them; a Pillow image; or grey pixels ``[H, W] uint8``, 0 is
            black. A :class:`GreyImage` is checked and passes unchanged.
        name: what error messages call the image; by default its path.
        hashed: give the SHA-256, too, which costs as much as a tenth of the decoding on a processor
            without instructions for it.
        least_side: a JPEG file may be decoded at a half, a quarter or an eighth of its size, which
            takes half the time, where both sides keep at least this many pixels; by default at its
            own size. See :attr:`cxr_edge_runtime.locator.Preprocessor.least_side`.

    Returns:
        The decoded image, with the milliseconds that reading and decoding took.

    Raises:
        ImageNotFound: there is no such file.
        ImageNotReadable: it is no regular file, or reading is not permitted or failed.
        UnreadableImage: not an image of these formats, or damaged.
        UnsupportedImage: of a kind that is not taken, such as samples of more than 16 bits, signed
            ones or such in floating point, LAB colours, several pages or pictures, or far too much
            metadata; DICOM that is no single grey frame or needs a package that is not installed;
            an array that is not ``[H, W] uint8``; or no image at all.
        ImageTooLarge: more than :data:`decoding_limits.MAX_PIXELS` pixels,
            :data:`decoding_limits.MAX_BYTES` bytes, or :data:`decoding_limits.MAX_MEMORY` bytes of
            memory to decode it, checked before decoding; or the memory of this device is not
            enough.
        ImageTooSmall: a side shorter than :data:`decoding_limits.MIN_SIDE` pixels.
        ImageTooSlow: decoding took more than :data:`decoding_limits.MAX_SECONDS`.

    >>> import numpy as np
    >>> load_grey(np.zeros((80, 64), np.uint8)).pixels.shape
    (80, 64)
    """
    started = time.perf_counter()
    if isinstance(image, str | os.PathLike):
        path = _as_path(image)
        name = name or str(path)
        with decoding_limits.exclusive_if_large(n_bytes=_file_bytes(path)):
            loaded = _decoded(read_bytes(path), name, hashed, least_side)
    elif isinstance(image, bytes | bytearray | memoryview):
        content, name = bytes(image), name or _UNNAMED
        decoding_limits.check_bytes(content, name)
        with decoding_limits.exclusive_if_large(n_bytes=len(content)):
            loaded = _decoded(content, name, hashed, least_side)
    else:
        loaded = _without_file(image, name or _UNNAMED, hashed)
    if isinstance(image, GreyImage):
        return loaded
    return replace(loaded, decode_ms=(time.perf_counter() - started) * 1000)


def _as_path(path: str | os.PathLike[str]) -> Path:
    if not os.fspath(path):
        raise ImageNotFound("the path of the image is empty")
    return Path(os.fsdecode(path))


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0  # reading says what is wrong


def _decoded(content: bytes, name: str, hashed: bool, least_side: int | None) -> GreyImage:
    """An image from the bytes of its file."""
    sha256 = hashlib.sha256(content).hexdigest() if hashed else None
    if is_dicom(content):
        film = decode_dicom(content, name=name)
        return GreyImage(
            film.pixels, "DICOM", "L", film.warnings, film.objections, film.age, sha256
        )
    with opened(content, name) as image:
        if least_side is not None:
            # Only of a JPEG does this anything.
            image.draft(None, (least_side, least_side))
        return replace(_from_pillow(image, name), sha256=sha256)


def _without_file(image: object, name: str, hashed: bool) -> GreyImage:
    """An image from what Python holds of it."""
    if isinstance(image, GreyImage):
        _check_pixels(image.pixels, name)
        grey = image
    elif isinstance(image, Image.Image):
        with given(image, name):
            grey = _from_pillow(image, name)
    elif isinstance(image, np.ndarray):
        _check_pixels(image, name)
        grey = GreyImage(np.ascontiguousarray(image), format="", mode="L")
    else:
        raise UnsupportedImage(
            f"{name}: a Python object of type {type(image).__name__} is not an image; give a path, "
            f"the bytes of a file, a Pillow image, or {_ARRAY}"
        )
    if hashed and grey.sha256 is None:
        shape = "x".join(map(str, grey.pixels.shape))
        content = shape.encode() + np.ascontiguousarray(grey.pixels).tobytes()
        grey = replace(grey, sha256=hashlib.sha256(content).hexdigest())
    return grey


def _from_pillow(image: Image.Image, name: str) -> GreyImage:
    format_, mode = image.format or "", image.mode
    turn = decode(image)
    objections = ("colour image",) if is_coloured(image) else ()
    pixels = to_grey(image, name, turn=turn, **tiff_samples(image))
    return GreyImage(pixels, format_, mode, objections=objections)


def _check_pixels(pixels: object, name: str) -> None:
    """Refuse what other shapes and types would silently be taken for."""
    # A masked array; asking for its type would import numpy.ma, which nothing else here needs.
    is_masked = hasattr(pixels, "mask")
    if not isinstance(pixels, np.ndarray) or is_masked:
        raise UnsupportedImage(f"{name}: pixels must be {_ARRAY}, not {type(pixels).__name__}")
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise UnsupportedImage(
            f"{name}: the array has shape {list(pixels.shape)} and dtype {pixels.dtype}, but must "
            f"be {_ARRAY}; {_advice(pixels)}"
        )
    height, width = pixels.shape
    decoding_limits.check_size((width, height), name)


def _advice(pixels: NDArray[Any]) -> str:
    if pixels.dtype == np.uint8:
        return "convert colours with PIL.Image.fromarray(array).convert('L')"
    return "scale grey values to 0-255, round them and use array.astype(numpy.uint8)"


def image_warnings(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """What is suspicious about a decoded image ``[H, W] uint8``, as text for the user."""
    low, high = int(pixels.min()), int(pixels.max())
    if high - low < _LOW_CONTRAST:
        return (
            f"low contrast: grey values lie between {low} and {high} of 255, so the prediction is "
            "unreliable; export the film with its full contrast, 12 bits scaled to 16",
        )
    return ()
