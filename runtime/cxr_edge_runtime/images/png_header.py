"""Checks of a PNG's chunks, before Pillow reads and keeps them."""

import re
import struct

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage

# Where the first chunk begins.
_FIRST_CHUNK = 8
# Where the header says bits of a sample and the colour model.
_DEPTH = slice(24, 26)
_GREY, _RGB = 0, 2
# As Pillow tells a chunk from damage.
_NAME = re.compile(rb"\w\w\w\w")
_PICTURE = frozenset({b"IDAT", b"fdAT", b"DDAT"})
# Pillow unpacks each to 1 MB at most, which as text may take 4 MB of memory.
_PACKED = frozenset({b"zTXt", b"iTXt", b"iCCP"})
_UNPACKED_BYTES = 5_000_000
_MAX_PACKED = 16
# Beside the picture a film has about ten chunks; converted from DICOM it may have one for each of
# its elements. Pillow keeps an object of each: 79 MB of empty ones took 0.9 GB.
_MAX_CHUNKS, _MAX_BYTES = 1000, 10_000_000
# 80 MB in pieces of 8 KB, as most programs write it, are 10,000.
_MAX_PICTURE_CHUNKS = 100_000


def check_png(content: bytes, name: str) -> int:
    """Refuse a PNG that would cost Pillow too much, or that has several pictures.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Returns:
        How many bytes its decoder will hold besides the file and the pixels.

    Raises:
        UnreadableImage: the picture is in more than 100,000 pieces.
        UnsupportedImage: there are more than 1000 chunks or 10 MB beside the picture, more than 16
            of packed text, several pictures, or one transparent colour in a depth that Pillow
            compares wrongly.
    """
    at, pieces, longest, chunks, packed, beside = _FIRST_CHUNK, 0, 0, 0, 0, 0
    animations: list[int] = []
    is_first_in_animation = False
    while at + 8 <= len(content):
        length, chunk = struct.unpack_from(">I4s", content, at)
        if chunk in _PICTURE:
            longest = max(longest, length) if pieces else 0
            pieces += 1
            if pieces > _MAX_PICTURE_CHUNKS:
                raise UnreadableImage(f"{name}: damaged image (a PNG with too many chunks)")
        elif chunk == b"IEND" or not _NAME.fullmatch(chunk):
            break
        else:
            if chunk == b"tRNS":
                _check_transparency(content, name)
            chunks, packed, beside = chunks + 1, packed + (chunk in _PACKED), beside + length
            if not pieces and chunk == b"acTL":
                animations.append(int.from_bytes(content[at + 8 : at + 12]))
            is_first_in_animation |= not pieces and chunk == b"fcTL"
            if chunks > _MAX_CHUNKS or beside > _MAX_BYTES or packed > _MAX_PACKED:
                raise UnsupportedImage(
                    f"{name}: a PNG with too much metadata; export it without metadata"
                )
        at += 12 + length
    _check_pictures(animations, name, is_first_in_animation=is_first_in_animation)
    # Pillow reads the pieces that follow the picture's end as a whole, and joins what it read.
    return 2 * longest + 5 * beside + packed * _UNPACKED_BYTES


def _check_transparency(content: bytes, name: str) -> None:
    # Pillow compares the colour as it is stored with samples that it has made 8 bits of.
    bits, colour = content[_DEPTH].ljust(2, b"\0")
    if (colour == _GREY and 1 < bits < 8) or (colour == _RGB and bits > 8):
        raise UnsupportedImage(
            f"{name}: a PNG with {bits} bits per sample and a transparent colour; export it "
            "without transparency"
        )


def _check_pictures(animations: list[int], name: str, *, is_first_in_animation: bool) -> None:
    # With two such chunks, and with none or too many frames, every reader shows the plain picture.
    if len(animations) != 1 or not 0 < animations[0] <= 0x80000000:
        return
    pictures = animations[0] + (not is_first_in_animation)
    if pictures > 1:
        raise UnsupportedImage(
            f"{name}: an animated PNG with {pictures} pictures; export only the film"
        )
