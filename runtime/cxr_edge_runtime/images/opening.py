"""An image opened by Pillow within the limits on its cost, and turned upright."""

import contextlib
import struct
import warnings
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from cxr_edge_runtime.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import (
    MAX_PIXELS,
    MAX_WEBP_PIXELS,
    MeteredBytes,
    check_size,
    exclusive_if_large,
    too_large_for_memory,
)
from cxr_edge_runtime.images.jpeg_header import check_jpeg, is_jpeg
from cxr_edge_runtime.images.tiff_header import check_tiff, is_tiff
from cxr_edge_runtime.native_output import stderr_silenced

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
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
QUARTER_TURNS = frozenset({_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8]})


@contextlib.contextmanager
def opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """An image that is not decoded yet; whatever is wrong with it, also within, is our error.

    Args:
        content: the bytes of the file, not DICOM.
        name: what error messages call the image.

    Raises:
        ImageError: as :func:`cxr_edge_runtime.images.load_grey`.
    """
    _check_header(content, name)
    with (
        _own_errors(name, is_tiff=is_tiff(content), advice="copy or export it again"),
        Image.open(MeteredBytes(content, name), formats=_FORMATS) as image,
        _within_limits(image, name),
    ):
        yield image


@contextlib.contextmanager
def given(image: Image.Image, name: str) -> Iterator[None]:
    """Within, a Pillow image that somebody else opened or made is decoded as ours are.

    Args:
        image: decoded or not.
        name: what error messages call it.

    Raises:
        ImageError: as :func:`cxr_edge_runtime.images.load_grey`.
    """
    advice = "the file must be complete, and the image not closed"
    with _own_errors(name, is_tiff=image.format == "TIFF", advice=advice):
        if image.format == "WEBP" and getattr(image, "is_animated", False):
            raise _animated(name)
        with _within_limits(image, name):
            if image.format == "TIFF":
                _load_unmapped(image)
            yield


def _load_unmapped(image: Image.Image) -> None:
    """Decode a Pillow image so that a rotation in its file counts.

    Pillow maps an uncompressed TIFF that it opened by path into memory, and then forgets to turn
    it. Without a name it reads the file instead.
    """
    filename = getattr(image, "filename", "")
    image.filename = ""  # type: ignore[attr-defined]  # only images that were opened have one
    try:
        image.load()
    finally:
        image.filename = filename  # type: ignore[attr-defined]


@contextlib.contextmanager
def _within_limits(image: Image.Image, name: str) -> Iterator[None]:
    """Within, an image of an allowed size is decoded, a large one with no other at once."""
    check_size(
        image.size, name, max_pixels=MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
    )
    with exclusive_if_large(pixels=image.width * image.height):
        yield


@contextlib.contextmanager
def _own_errors(name: str, *, is_tiff: bool, advice: str) -> Iterator[None]:
    """Within, what Pillow raises becomes our error, and what it warns of is hidden."""
    # libtiff writes its own complaints to the terminal.
    silenced = stderr_silenced() if is_tiff else contextlib.nullcontext()
    try:
        with warnings.catch_warnings(), silenced:
            # Pillow warns of sizes that we refuse, and of damaged metadata that nothing here needs.
            warnings.simplefilter("ignore")
            yield
    except Image.DecompressionBombError:
        raise ImageTooLarge(
            f"{name}: far more than {MAX_PIXELS // 1_000_000} million pixels; export a smaller copy"
        ) from None
    except MemoryError:
        raise too_large_for_memory(name) from None
    except UnidentifiedImageError:
        raise UnreadableImage(f"{name}: not a JPEG, PNG, TIFF, BMP, WebP or DICOM image") from None
    except _DAMAGE as error:
        raise UnreadableImage(f"{name}: damaged image ({error}); {advice}") from error


def turned_upright(image: Image.Image) -> tuple[Image.Image, Image.Transpose | None]:
    """The decoded image as it should be seen, and how it was turned for that.

    Raises:
        OSError: or what else Pillow raises on damaged data; :func:`opened` makes it our error.
    """
    image.load()
    try:
        usable = len(image.info.get("exif", b"")) <= _MAX_EXIF_BYTES
        orientation = image.getexif().get(_ORIENTATION) if usable else None
    except _DAMAGE:  # damaged metadata does not make a film unusable
        orientation = None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return (image if turn is None else image.transpose(turn)), turn


def _check_header(content: bytes, name: str) -> None:
    """Refuse what would cost much as soon as Pillow opens it."""
    if is_tiff(content):
        check_tiff(content, name)
    if is_jpeg(content):
        check_jpeg(content, name)
    if content[12:16] == b"VP8X" and any(flags & _WEBP_ANIMATED for flags in content[20:21]):
        raise _animated(name)


def _animated(name: str) -> UnsupportedImage:
    return UnsupportedImage(f"{name}: an animated WebP; export one frame")
