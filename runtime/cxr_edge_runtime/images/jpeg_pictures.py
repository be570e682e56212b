"""The pictures of a JPEG that has several, by its multi-picture block (MPF, CIPA DC-007)."""

import struct

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.directories import Block

# Tags: how many pictures, and for each of them kind, size, place and what it belongs to.
_NUMBER, _PICTURES = 0xB001, 0xB002
_ENTRY_BYTES = 16
# Kinds of pictures that show the first one smaller; a camera adds them for its display.
_PREVIEWS = frozenset({0x010001, 0x010002, 0x010003, 0x010004, 0x010005})
# A telephone adds a picture of how much brighter each part may be shown; marks of the three forms.
_GAIN_MAPS = (b"hdr-gain-map", b"hdrgainmap", b"iso:ts:21496")
_MAX_GAIN_HEADER = 100_000


def check_pictures(content: bytes, mpf: bytes, mpf_at: int, name: str) -> None:
    """Refuse a JPEG of several pictures that are more than previews of the first.

    Args:
        content: the bytes of the file.
        mpf: the multi-picture block from its byte order on.
        mpf_at: where that begins in the file.
        name: what error messages call the image.

    Raises:
        UnsupportedImage: there is another picture, such as the second eye's or a panorama's part.
    """
    pictures = _pictures(mpf)
    others = [
        kind & 0xFFFFFF not in _PREVIEWS and not _is_gain_map(content, mpf_at + place, size)
        for kind, size, place in pictures[1:]
    ]
    if any(others):
        raise UnsupportedImage(
            f"{name}: a JPEG with {len(pictures)} pictures; export only the film"
        )


def _pictures(mpf: bytes) -> list[tuple[int, int, int]]:
    """Kind, size and place of each; none where the block is damaged, as Pillow then reads on."""
    try:
        block = Block(mpf)
        entries = {entry.tag: entry for entry in block.directory(block.first).entries}
        (number,) = block.numbers(entries[_NUMBER], at_most=1)
        at = entries[_PICTURES].at
        return [
            struct.unpack_from(f"{block.order}III", mpf, at + index * _ENTRY_BYTES)
            for index in range(min(number, len(mpf) // _ENTRY_BYTES + 1))
        ]
    except (struct.error, KeyError, ValueError):
        return []


def _is_gain_map(content: bytes, at: int, size: int) -> bool:
    end = at + min(size, _MAX_GAIN_HEADER)
    return any(content.find(mark, at, end) >= 0 for mark in _GAIN_MAPS)
