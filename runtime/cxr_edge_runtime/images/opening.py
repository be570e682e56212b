"""An image opened by Pillow within the limits on its cost, and turned upright."""

import contextlib
import struct
import warnings
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from cxr_edge_runtime.errors import ImageTooLarge, UnreadableImage
from cxr_edge_runtime.images.decoding_limits import (
    MAX_PIXELS,
    MAX_WEBP_PIXELS,
    MeteredBytes,
    check_memory,
    check_size,
    exclusive_if_large,
    too_large_for_memory,
)
from cxr_edge_runtime.images.jpeg_header import check_coding, check_jpeg
from cxr_edge_runtime.images.orientation import turn_of
from cxr_edge_runtime.images.signatures import is_jpeg, is_tiff
from cxr_edge_runtime.native_output import stderr_silenced

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
# What Pillow's decoders raise on damaged data; SyntaxError is how its PNG reader complains.
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, OverflowError,
    struct.error,
)  # fmt: skip


@contextlib.contextmanager
def opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """An image that is not decoded yet; whatever is wrong with it, also within, is our error.

    Args:
        content: the bytes of the file, not DICOM.
        name: what error messages call the image.

    Raises:
        ImageError: as :func:`cxr_edge_runtime.images.load_grey`.
    """
    further = len(content) + _check_header(content, name)
    with (
        _own_errors(name, content, is_tiff=is_tiff(content), advice="copy or export it again"),
        Image.open(MeteredBytes(content, name), formats=_FORMATS) as image,
        _within_limits(image, name, further=further),
    ):
        yield image


@contextlib.contextmanager
def given(image: Image.Image, name: str) -> Iterator[None]:
    """Within, a Pillow image that other code opened or made is decoded as ours are.

    Args:
        image: decoded or not.
        name: what error messages call it.

    Raises:
        ImageError: as :func:`cxr_edge_runtime.images.load_grey`.
    """
    advice = "the file must be complete and the image still open"
    with _own_errors(name, b"", is_tiff=image.format == "TIFF", advice=advice):
        if image.format == "WEBP" and getattr(image, "is_animated", False):
            from cxr_edge_runtime.images.webp_header import animated

            raise animated(name)
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
def _within_limits(image: Image.Image, name: str, *, further: int = 0) -> Iterator[None]:
    """Within, an image of an allowed size is decoded, a large one with no other at once."""
    check_size(
        image.size, name, max_pixels=MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS
    )
    check_memory(image.size, image.mode, name, further=further)
    with exclusive_if_large(pixels=image.width * image.height):
        yield


@contextlib.contextmanager
def _own_errors(name: str, content: bytes, *, is_tiff: bool, advice: str) -> Iterator[None]:
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
        if is_tiff:
            from cxr_edge_runtime.images.tiff_layout import check_known

            check_known(content, name)
        raise UnreadableImage(f"{name}: not a JPEG, PNG, TIFF, BMP, WebP or DICOM image") from None
    except _DAMAGE as error:
        if is_jpeg(content):
            check_coding(content, name)
        raise UnreadableImage(f"{name}: damaged image ({error}); {advice}") from error


def decode(image: Image.Image) -> Image.Transpose | None:
    """Decode an image, and return what makes it upright.

    Raises:
        OSError: or what else Pillow raises on damaged data; :func:`opened` makes it our error.
    """
    image.load()
    try:
        return turn_of(image)
    except (*_DAMAGE, UnreadableImage):  # damaged metadata does not make a film unusable
        return None


def _check_header(content: bytes, name: str) -> int:
    """Refuse what would cost much as soon as Pillow opens it.

    Returns:
        How many bytes the decoder will hold besides the file and the pixels.
    """
    if is_jpeg(content):
        return check_jpeg(content, name)
    # Most films are JPEGs, which need not wait for the import of what checks the others.
    from cxr_edge_runtime.images.headers import check_header

    return check_header(content, name)
