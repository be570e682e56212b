"""Checks of a TIFF's header, before Pillow and libtiff trust what it states.

Both allocate the sizes that the header states, and libtiff cannot be stopped once it is called.
A file of 2 MB was made that fills 2 GB with a single tile, one of 72 MB that fills 5 GB with
strip offsets, and one of 76 MB that fills 2 GB with the numbers of its EXIF directory.
"""

import struct
from collections.abc import Mapping

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import MAX_PIXELS
from cxr_edge_runtime.images.directories import (
    KEPT_AS_BYTES,
    MAX_NUMBERS,
    WHOLE_NUMBERS,
    Block,
    Cost,
    Directory,
    Entry,
)
from cxr_edge_runtime.images.tiff_layout import Samples, check_samples
from cxr_edge_runtime.images.tiff_pages import check_pages

# Tags: where strips or tiles begin and how many bytes each has, and the size of a tile.
_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES = 273, 279, 324, 325
_TILE_WIDTH, _TILE_LENGTH, _WIDTH, _LENGTH, _ROWS_PER_STRIP = 322, 323, 256, 257, 278
_WANTED = frozenset({
    _STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES, _TILE_WIDTH, _TILE_LENGTH,
})  # fmt: skip
# Tags of the picture's shape, samples, compression, orientation, and rows of a strip.
_DESCRIBING = frozenset({256, 257, 258, 259, 262, 274, 277, 278, 284, 339, 530})
# The types that sizes and offsets may have.
_KINDS = frozenset({3, 4, 16})
# Of all tiles, with what lies beyond the picture: libtiff decodes them whole, and 29,000 that had
# 1.6 million pixels each, for a picture 64 wide, would have taken minutes.
_MAX_TILED_PIXELS = 2 * MAX_PIXELS
# LZMA and Zstandard keep what they have decoded, as far back as the file says.
_WITH_WINDOW = frozenset({34925, 50000})
# 30 million pixels in tiles of 16x16, the smallest there are.
_MAX_VALUES = 120_000
# Pillow and libtiff look each tag up; libtiff sorts its list again after each unknown one.
_MAX_ENTRIES = 1000
# Pillow reads the values of a directory three times, and keeps them.
_MAX_VALUE_BYTES = 10_000_000


def check_tiff(content: bytes, name: str) -> int:
    """Refuse a TIFF or BigTIFF by its directories, if decoding it would cost too much or be wrong.

    A directory that is too damaged to be read here passes, since Pillow refuses it too.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Returns:
        How many bytes its decoder will hold besides the file and the pixels.

    Raises:
        UnreadableImage: a tag occurs twice, has a wrong type or more values than any film needs,
            directories lead to too many others, or strips or tiles overlap, so that the decoder
            would read more bytes than the file has.
        UnsupportedImage: the tiles are larger than any image may be, there is too much metadata,
            there are several pages, Pillow would read the samples wrongly, or the file is a
            big-endian BigTIFF, which Pillow takes for a plain TIFF and libtiff does not.
    """
    if content[:4] == b"MM\0\x2b":
        raise UnsupportedImage(f"{name}: a big-endian BigTIFF; export a plain TIFF")
    try:
        block = Block(content)
        first = block.directory(block.first, max_entries=_MAX_ENTRIES)
        value_bytes = _check_values(block, name)
        found = _wanted(block, first, name)
    except struct.error:
        return 0
    except ValueError as error:
        raise UnreadableImage(f"{name}: damaged image (TIFF: {error})") from None
    samples = Samples.of(block, first)
    if _tiled_pixels(found, samples) > _MAX_TILED_PIXELS:
        raise UnsupportedImage(
            f"{name}: a TIFF whose tiles have far more pixels than a film; export it in strips"
        )
    for offsets, lengths in ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES)):
        # Without lengths libtiff would take each strip to reach to the end of the file.
        if offsets in found and not found.get(lengths):
            raise UnreadableImage(f"{name}: damaged image (TIFF strips without a length)")
        # A wrong length of a single strip is harmless, and libtiff mends it.
        if len(found.get(lengths, ())) > 1 and sum(found[lengths]) > len(content):
            raise UnreadableImage(f"{name}: damaged image (TIFF strips overlap)")
    check_pages(block, name)
    check_samples(samples, name)
    # Pillow turns the image while its decoder still holds the last piece.
    return 3 * value_bytes + _piece_bytes(block, first, samples) + samples.turned_bytes


def _check_values(block: Block, name: str) -> int:
    """Refuse what Pillow would read of directories; return how many bytes that is."""
    cost = Cost(len(block.content))
    for number, directory in enumerate(block.tree(block.first, max_entries=_MAX_ENTRIES)):
        for entry in directory.entries:
            if entry.kind not in KEPT_AS_BYTES and entry.n_values > _MAX_VALUES:
                raise UnreadableImage(
                    f"{name}: damaged image (TIFF tag {entry.tag} has {entry.n_values} values)"
                )
        # The places of the strips have a limit of their own.
        cost.add(directory, besides=_WANTED if number == 0 else frozenset())
    if cost.n_numbers > MAX_NUMBERS:
        raise UnreadableImage(f"{name}: damaged image (TIFF tags have {cost.n_numbers} values)")
    if cost.n_bytes > _MAX_VALUE_BYTES:
        raise UnsupportedImage(
            f"{name}: a TIFF with more than {_MAX_VALUE_BYTES // 1_000_000} MB of metadata; "
            "export it without metadata"
        )
    return cost.n_bytes


def _tiled_pixels(found: Mapping[int, tuple[int, ...]], samples: Samples) -> int:
    """How many pixels all tiles have, with what lies beyond the picture."""
    pixels = 1
    for side, tag in ((samples.width, _TILE_WIDTH), (samples.height, _TILE_LENGTH)):
        tile = found[tag][0] if found.get(tag) else 0
        pixels *= -(-max(1, side) // tile) * tile if tile else 0
    return pixels


def _wanted(block: Block, directory: Directory, name: str) -> dict[int, tuple[int, ...]]:
    """The values of the wanted tags."""
    found: dict[int, tuple[int, ...]] = {}
    for entry in directory.entries:
        if entry.tag not in _WANTED and entry.tag not in _DESCRIBING:
            continue
        kinds = _KINDS if entry.tag in _WANTED else WHOLE_NUMBERS
        # Of two, and of unusual types, Pillow and libtiff may believe different ones.
        if entry.tag in found or entry.kind not in kinds:
            raise UnreadableImage(
                f"{name}: damaged image (TIFF tag {entry.tag} twice or of a wrong type)"
            )
        found[entry.tag] = block.numbers(entry)
    return found


def _piece_bytes(block: Block, directory: Directory, samples: Samples) -> int:
    """Bytes of a strip or tile, which libtiff decodes whole."""
    entries: dict[int, Entry] = {}
    for entry in directory.entries:
        entries.setdefault(entry.tag, entry)

    def number(tag: int, otherwise: int) -> int:
        try:
            return block.numbers(entries[tag], at_most=1)[0]
        except (KeyError, struct.error, IndexError):
            return otherwise

    if _TILE_WIDTH in entries:
        width, rows = number(_TILE_WIDTH, samples.width), number(_TILE_LENGTH, samples.height)
    else:
        width = samples.width
        rows = min(samples.height, number(_ROWS_PER_STRIP, samples.height))
    times = 2 if samples.compression in _WITH_WINDOW else int(samples.is_compressed)
    return times * width * rows * samples.bytes_a_pixel
