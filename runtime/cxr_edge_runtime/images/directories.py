"""Directories of tags: those of a TIFF, and those of the small TIFF inside an EXIF or MPF block.

Pillow reads every value of a directory and makes an object of each number. Values may overlap, so
that a directory of 1 MB can state 8 GB of them, and one of 76 MB can state 38 million numbers. A
directory is therefore read here first, without touching its values.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from cxr_edge_runtime.errors import UnreadableImage
from cxr_edge_runtime.images.signatures import is_tiff

# Bytes of a value by the number of its type, of all types that TIFF and BigTIFF have.
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8,
    18: 8,
}  # fmt: skip
# Types that Pillow keeps as bytes; of all others every value becomes an object of 36 bytes.
KEPT_AS_BYTES = frozenset({1, 2, 7})
_LETTERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
WHOLE_NUMBERS = frozenset(_LETTERS)

# Tags whose value is the position of another directory: SubIFDs, EXIF, GPS, interoperability.
SUB_DIRECTORIES = 330
_FURTHER = frozenset({SUB_DIRECTORIES, 34665, 34853, 40965})
_EXIF = b"Exif\0\0"
# A film's file has at most four; a crafted one's overlap, or lead to the same again and again.
_MAX_DIRECTORIES = 100
# Of all directories together, as often as they are read here: they take 30 ms.
_MAX_ENTRIES = 20_000
# Of all directories together: places and lengths of 120,000 strips or tiles, and the rest.
MAX_NUMBERS = 300_000


class Entry(NamedTuple):
    """A tag of a directory.

    Attributes:
        tag: its number.
        kind: the number of its type.
        n_values: how many values it has.
        at: where the values begin, in the entry itself or elsewhere in the block.
        n_bytes: how many bytes they are; 0 for a type that does not exist.
        apart: whether they lie elsewhere.
    """

    tag: int
    kind: int
    n_values: int
    at: int
    n_bytes: int
    apart: bool


class Directory(NamedTuple):
    """A directory that was read.

    Attributes:
        entries: its tags, as far as the block reaches.
        following: where the next directory begins; 0 where there is none.
    """

    entries: tuple[Entry, ...]
    following: int


class Block:
    """A TIFF, or the block of a file that is made like one."""

    def __init__(self, content: bytes) -> None:
        """Read the first bytes.

        Args:
            content: the TIFF, or the block from its ``II`` or ``MM`` on.

        Raises:
            struct.error: there are too few bytes.
        """
        self.content = content
        self.order = "<" if content[:2] == b"II" else ">"
        # As Pillow tells a BigTIFF from a TIFF.
        self.big = content[2:3] == b"\x2b"
        self._offset = self.order + ("Q" if self.big else "I")
        self._count = self.order + ("Q" if self.big else "H")
        self._entry = self.order + ("HHQ8s" if self.big else "HHI4s")
        (self.first,) = struct.unpack_from(self._offset, content, 8 if self.big else 4)
        self._entries_left = _MAX_ENTRIES

    def directory(self, at: int, *, max_entries: int = _MAX_ENTRIES) -> Directory:
        """Read the directory that begins at a position.

        Raises:
            struct.error: the position lies outside.
            ValueError: the directory has more than ``max_entries`` tags, or all that were read
                have more than 20,000.
        """
        content = self.content
        if at < 0:
            raise struct.error("a position before the block")
        (count,) = struct.unpack_from(self._count, content, min(at, len(content)))
        size, inline = struct.calcsize(self._entry), 8 if self.big else 4
        start = at + struct.calcsize(self._count)
        present = min(count, (len(content) - start) // size)
        self._entries_left -= present
        if present > max_entries or self._entries_left < 0:
            raise ValueError(f"directories with more than {max_entries} tags")
        entries = []
        for position in range(start, start + present * size, size):
            tag, kind, values, data = struct.unpack_from(self._entry, content, position)
            n_bytes = values * _SIZES.get(kind, 0)
            apart = n_bytes > inline
            where = struct.unpack(self._offset, data)[0] if apart else position + size - inline
            entries.append(Entry(tag, kind, values, where, n_bytes, apart))
        after = start + count * size
        following = 0
        if after + inline <= len(content):
            (following,) = struct.unpack_from(self._offset, content, after)
        return Directory(tuple(entries), following)

    def numbers(self, entry: Entry, *, at_most: int | None = None) -> tuple[int, ...]:
        """The values of a tag of whole numbers, or the first of them.

        Raises:
            struct.error: they lie outside, or are no whole numbers.
        """
        if entry.kind not in _LETTERS:
            raise struct.error("not whole numbers")
        count = entry.n_values if at_most is None else min(entry.n_values, at_most)
        layout = f"{self.order}{count}{_LETTERS[entry.kind]}"
        return struct.unpack_from(layout, self.content, min(entry.at, len(self.content)))

    def tree(self, at: int, *, max_entries: int = _MAX_ENTRIES) -> Iterator[Directory]:
        """The directory at a position, and those that its tags and theirs lead to.

        Raises:
            struct.error: the first lies outside; of others only those inside are read.
            ValueError: there are too many directories, or tags in one of them.
        """
        yield (first := self.directory(at, max_entries=max_entries))
        seen, waiting, places = {at}, [first], 1
        while waiting:
            for place in self._further(waiting.pop()):
                places += 1
                if places > _MAX_DIRECTORIES:
                    raise ValueError(f"more than {_MAX_DIRECTORIES} directories")
                if place in seen:
                    continue
                seen.add(place)
                try:
                    found = self.directory(place, max_entries=max_entries)
                except struct.error:
                    continue  # it cannot be read, so it costs nothing
                yield found
                waiting.append(found)

    def _further(self, directory: Directory) -> Iterator[int]:
        for entry in directory.entries:
            if entry.tag in _FURTHER:
                try:
                    # Of several positions Pillow takes the first, other than of SubIFDs.
                    yield from self.numbers(entry, at_most=_MAX_DIRECTORIES + 1)
                except struct.error:
                    continue


class Cost:
    """What reading directories costs: bytes, and numbers that Pillow would make objects of."""

    def __init__(self, length: int) -> None:
        """Nothing has been read yet.

        Args:
            length: of the block; values beyond it are never read.
        """
        self.n_bytes = self.n_numbers = 0
        self._length = length

    def add(self, directory: Directory, *, besides: frozenset[int] = frozenset()) -> None:
        """Add the values of a directory that lie inside the block.

        Args:
            directory: as read.
            besides: tags whose bytes do not count.
        """
        for entry in directory.entries:
            if entry.apart and entry.at + entry.n_bytes > self._length:
                continue
            if entry.kind not in KEPT_AS_BYTES:
                self.n_numbers += entry.n_values
            if entry.tag not in besides:
                self.n_bytes += entry.n_bytes


def check_block(content: bytes, name: str, *, what: str) -> None:
    """Refuse an EXIF or MPF block that would cost Pillow too much; damage itself passes.

    Args:
        content: the block, with or without the mark before it; anything else passes.
        name: what error messages call the image.
        what: what they call the block.

    Raises:
        UnreadableImage: its tags overlap, or have far more values than any camera writes.
    """
    for _ in range(2):  # as often as Pillow
        content = content.removeprefix(_EXIF)
    if not is_tiff(content):
        return
    cost = Cost(len(content))
    try:
        block = Block(content)
        for directory in block.tree(block.first):
            cost.add(directory)
    except struct.error:
        pass
    except ValueError as error:
        raise UnreadableImage(f"{name}: damaged image ({what}: {error})") from None
    # Read once each, all values lie in the block.
    if cost.n_bytes > 2 * len(content) or cost.n_numbers > MAX_NUMBERS:
        raise UnreadableImage(
            f"{name}: damaged image ({what} with overlapping or too many values); "
            "export it without metadata"
        )
