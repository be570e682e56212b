"""Checks of a BMP's header, before Pillow trusts what it states."""

import struct

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage

# The lengths of the headers that there are.
_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_RUN_LENGTHS = frozenset({1, 2})
# Pillow unpacks run lengths in Python, 1.5 seconds for 10 million pixels, or for 2 MB.
_MAX_RUN_PIXELS, _MAX_RUN_BYTES = 10_000_000, 2_000_000


def check_bmp(content: bytes, name: str) -> None:
    """Refuse a BMP that would cost Pillow too much; other damage is left to it.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Raises:
        UnreadableImage: the header is of a kind that does not exist.
        UnsupportedImage: it is packed in run lengths and large.
    """
    try:
        (length,) = struct.unpack_from("<I", content, 14)
    except struct.error:
        return
    if length not in _HEADERS:
        raise UnreadableImage(f"{name}: damaged image (a BMP header of {length} bytes)")
    try:
        width, height, _, _, compression = struct.unpack_from("<iiHHI", content, 18)
    except struct.error:
        return
    if length == 12 or compression not in _RUN_LENGTHS:
        return
    if abs(width * height) > _MAX_RUN_PIXELS or len(content) > _MAX_RUN_BYTES:
        raise UnsupportedImage(
            f"{name}: a large run-length encoded BMP; export it as PNG, or uncompressed"
        )
