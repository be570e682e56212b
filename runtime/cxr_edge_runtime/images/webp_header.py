"""Checks of a WebP's chunks, before its decoder reads the file whole and cannot be stopped."""

import struct

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import MAX_WEBP_PIXELS, check_size

_PICTURE = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
# Flag of an extended WebP; its decoder makes a list of the frames, and there may be millions.
_ANIMATED = 2
# A film has three chunks beside its picture: EXIF, XMP and a profile; the decoder makes an object
# of each, and Pillow copies those three.
_MAX_CHUNKS, _MAX_BYTES = 100, 10_000_000
# The decoder keeps a list of pixels, two frames and its own buffers: measured 17 bytes a pixel.
_BYTES_A_PIXEL = 17


def check_webp(content: bytes, name: str) -> int:
    """Refuse a WebP that would cost its decoder too much, or that is animated.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Returns:
        How many bytes its decoder will hold besides the file and the pixels.

    Raises:
        UnreadableImage: there are more than 100 chunks or 10 MB beside the picture.
        ImageTooLarge: more than 10 million pixels.
        ImageTooSmall: a side shorter than 64 pixels.
        UnsupportedImage: it is animated.
    """
    kind = content[12:16]
    if kind == b"VP8X" and any(flags & _ANIMATED for flags in content[20:21]):
        raise animated(name)
    at, chunks, beside = 12, 0, 0
    while at + 8 <= len(content):
        chunk, length = struct.unpack_from("<4sI", content, at)
        chunks, beside = chunks + 1, beside + (0 if chunk in _PICTURE else length)
        if chunks > _MAX_CHUNKS or beside > _MAX_BYTES:
            raise UnreadableImage(
                f"{name}: a WebP with too much metadata; export it without metadata"
            )
        at += 8 + length + length % 2
    width, height = _size(content)
    if width:
        check_size((width, height), name, max_pixels=MAX_WEBP_PIXELS)
    # Pillow joins the file anew, and passes the decoder a copy.
    return 2 * len(content) + 3 * beside + width * height * (_BYTES_A_PIXEL - 4)


def _size(content: bytes) -> tuple[int, int]:
    """Width and height; 0 where the header is damaged, which the decoder finds."""
    kind = content[12:16]
    if kind == b"VP8X" and len(content) >= 30:
        return _number(content, 24, 3) + 1, _number(content, 27, 3) + 1
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a" and len(content) >= 30:
        return _number(content, 26, 2) & 0x3FFF, _number(content, 28, 2) & 0x3FFF
    if kind == b"VP8L" and len(content) >= 25:
        bits = _number(content, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return 0, 0


def _number(content: bytes, at: int, n_bytes: int) -> int:
    return int.from_bytes(content[at : at + n_bytes], "little")


def animated(name: str) -> UnsupportedImage:
    """The error of a WebP of several pictures."""
    return UnsupportedImage(f"{name}: an animated WebP; export one frame")
