"""Checks of a JPEG's header, before Pillow and libjpeg trust what it states."""

import struct
from collections.abc import Iterator

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage

# Progressive JPEGs have about ten scans. Each visits every pixel, 11 ms for 30 million, and may be
# ten bytes, so that a file within the limit on bytes would keep libjpeg busy for a day, thousands
# of scans between two reads. libtiff has the same limit.
_MAX_SCANS = 100
# Pillow joins the EXIF blocks of a file and makes an object of every number in some of their tags.
# A camera writes one block, of 64 KB at most.
_MAX_EXIF_BLOCKS = 16

_START, _START_OF_SCAN, _EXIF = b"\xff\xd8", b"\xff\xda", b"Exif\0\0"
_SOS, _FILL = 0xFFDA, 0xFFFF
# Start of frame, of every kind of JPEG (ITU-T T.81, table B.1) and of JPEG-LS.
_FRAMES = (frozenset(range(0xFFC0, 0xFFD0)) - {0xFFC4, 0xFFC8, 0xFFCC}) | {0xFFF7}
# Without progression, so that one channel has one scan.
_SEQUENTIAL = frozenset({0xFFC0, 0xFFC1})


def is_jpeg(content: bytes) -> bool:
    """Return whether the bytes begin as a JPEG does."""
    return content.startswith(_START)


def check_jpeg(content: bytes, name: str) -> None:
    """Refuse a JPEG that would cost its decoder too much; other damage is left to the decoder.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Raises:
        UnreadableImage: the file has more than 16 EXIF blocks.
        UnsupportedImage: the file has more than 100 scans.
    """
    # The whole file is searched only where the header gives a reason: it takes 1 ms a megabyte, a
    # quarter of the time that decoding takes.
    one_scan, exif_blocks = False, 0
    try:
        for marker, at in _segments(content):
            if marker in _FRAMES:
                one_scan = marker in _SEQUENTIAL and content[at + 9] == 1
            exif_blocks += content.startswith(_EXIF, at + 4)
    except (struct.error, ValueError, IndexError):
        one_scan, exif_blocks = False, content.count(_EXIF)
    if exif_blocks > _MAX_EXIF_BLOCKS:
        raise UnreadableImage(f"{name}: damaged image (more than {_MAX_EXIF_BLOCKS} EXIF blocks)")
    # No picture data contain the marker.
    if not one_scan and content.count(_START_OF_SCAN) > _MAX_SCANS:
        raise UnsupportedImage(
            f"{name}: a JPEG of more than {_MAX_SCANS} scans; export it as baseline JPEG or PNG"
        )


def _segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Marker and position of each segment up to the picture data."""
    at = len(_START)
    while True:
        marker, length = struct.unpack_from(">HH", content, at)
        if marker == _SOS:
            return
        if marker == _FILL:
            at += 1
            continue
        if marker < 0xFF01:
            raise ValueError("no marker")
        yield marker, at
        at += 2 + length
