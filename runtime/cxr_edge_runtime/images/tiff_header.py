"""Checks of a TIFF's header, before Pillow and libtiff trust what it states.

Both allocate the sizes that the header states, and libtiff cannot be stopped once it is called.
A file of 2 MB was made that fills 2 GB with a single tile, and one of 72 MB that fills 5 GB with
strip offsets.
"""

import struct

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import MAX_PIXELS

_BIG = b"\x2b"
# Tags: where strips or tiles begin and how many bytes each has, and the size of a tile.
_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES = 273, 279, 324, 325
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_WANTED = frozenset({
    _STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES, _TILE_WIDTH, _TILE_LENGTH,
})  # fmt: skip
# Types that Pillow keeps as bytes; of all others every value becomes an object of 36 bytes.
_KEPT_AS_BYTES = frozenset({1, 2, 7})
# 30 million pixels in tiles of 16x16, the smallest there are.
_MAX_VALUES = 120_000
# struct's letters for the types that sizes and offsets may have.
_LETTERS = {3: "H", 4: "I", 16: "Q"}


def is_tiff(content: bytes) -> bool:
    """Return whether the bytes begin as a TIFF does."""
    return content[:2] in (b"II", b"MM")


def check_tiff(content: bytes, name: str) -> None:
    """Refuse a TIFF or BigTIFF by its first directory, if decoding it would cost too much.

    A directory that is too damaged to be read here passes, since Pillow refuses it too.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Raises:
        UnreadableImage: a tag occurs twice, has a wrong type or more values than any film needs,
            or strips or tiles overlap, so that the decoder would read more bytes than the file has.
        UnsupportedImage: a tile is larger than any image may be, or the file is a big-endian
            BigTIFF, which Pillow takes for a plain TIFF and libtiff does not.
    """
    if content[:4] == b"MM\0\x2b":
        raise UnsupportedImage(f"{name}: a big-endian BigTIFF; export a plain TIFF")
    try:
        found = _directory(content, name)
    except struct.error:
        return
    if _product(found, _TILE_WIDTH, _TILE_LENGTH) > MAX_PIXELS:
        raise UnsupportedImage(
            f"{name}: a TIFF with a tile of more than {MAX_PIXELS // 1_000_000} million pixels; "
            "export it in strips"
        )
    for offsets, lengths in ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES)):
        # Without lengths libtiff would take each strip to reach to the end of the file.
        if offsets in found and not found.get(lengths):
            raise UnreadableImage(f"{name}: damaged image (TIFF strips without a length)")
        # A wrong length of a single strip is harmless, and libtiff mends it.
        if len(found.get(lengths, ())) > 1 and sum(found[lengths]) > len(content):
            raise UnreadableImage(f"{name}: damaged image (TIFF strips overlap)")


def _product(found: dict[int, tuple[int, ...]], *tags: int) -> int:
    product = 1
    for tag in tags:
        product *= found[tag][0] if found.get(tag) else 0
    return product


def _directory(content: bytes, name: str) -> dict[int, tuple[int, ...]]:
    """The values of the wanted tags."""
    order = "<" if content[:2] == b"II" else ">"
    if content[2:3] == _BIG:
        at_start, counter, entry, inline = 8, "Q", "HHQ8s", 8
    else:
        at_start, counter, entry, inline = 4, "H", "HHI4s", 4
    offset_letter = {4: "I", 8: "Q"}[inline]
    (start,) = struct.unpack_from(order + offset_letter, content, at_start)
    (count,) = struct.unpack_from(order + counter, content, min(start, len(content)))
    start += struct.calcsize(order + counter)
    size = struct.calcsize(order + entry)
    found: dict[int, tuple[int, ...]] = {}
    for position in range(start, min(start + count * size, len(content)), size):
        tag, kind, values, data = struct.unpack_from(order + entry, content, position)
        if kind not in _KEPT_AS_BYTES and values > _MAX_VALUES:
            raise UnreadableImage(f"{name}: damaged image (TIFF tag {tag} has {values} values)")
        if tag not in _WANTED:
            continue
        # Of two, and of unusual types, Pillow and libtiff may believe different ones.
        if tag in found or kind not in _LETTERS:
            raise UnreadableImage(
                f"{name}: damaged image (TIFF tag {tag} twice or of a wrong type)"
            )
        layout = f"{order}{values}{_LETTERS[kind]}"
        if struct.calcsize(layout) > inline:
            (at,) = struct.unpack(order + offset_letter, data)
            found[tag] = struct.unpack_from(layout, content, min(at, len(content)))
        else:
            found[tag] = struct.unpack_from(layout, data)
    return found
