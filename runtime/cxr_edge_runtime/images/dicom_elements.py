"""The elements of a DICOM file that a film needs, found without trusting a length or a count.

Values are looked at where they lie in the file: nothing is copied, converted or kept of elements
that nobody asked for, and an element that is asked for is measured before it is read. So a file of
any content costs one pass over its elements, of which it may have a limited number, however they
are nested.
"""

import math
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cxr_edge_runtime.images.dicom import PREAMBLE_BYTES

# Films have some hundred. So many take 0.1 s here, and 2 s on a Pi Zero 2 W.
_MAX_ELEMENTS = 100_000
# Windows are the longest list that is read here; films have a handful, of 16 bytes each.
_MAX_VALUE_BYTES = 4096

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRANSFER_SYNTAX = 0x00020010
_LAST_GROUP_OF_HEADER = 2
_MAX_UID_BYTES = 65
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# Value representations whose length takes four bytes, after two that mean nothing (PS3.5, 7.1.2).
_LONG = frozenset({
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
})  # fmt: skip
_NUMBERS = {b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"FL": "f", b"FD": "d"}


class DamagedDicom(Exception):
    """What is wrong with a file, for a message; it contains no value of an element."""


@dataclass(frozen=True, slots=True)
class Tag:
    """An element that can be asked for.

    Attributes:
        number: group and number.
        keyword: its name in the standard.
        vr: its value representation where the file states none.
    """

    number: int
    keyword: str
    vr: bytes


@dataclass(frozen=True, slots=True)
class Element:
    """Where the value of an element lies.

    Attributes:
        vr: the value representation that the file states; empty where it states none.
        start: position of the first byte.
        end: position after the last byte that the file has of it.
        undefined: whether it is a sequence, or compressed pixels, that ends at a delimiter.
    """

    vr: bytes
    start: int
    end: int
    undefined: bool = False

    @property
    def after(self) -> int:
        """Position of the next element."""
        return self.end + 8 if self.undefined else self.end


class Dataset:
    """The elements of a file, or of an item in it, that were asked for.

    Attributes:
        content: the bytes of the file.
        syntax: the UID of its transfer syntax; empty if it states none.
        big_endian: whether its numbers are.
    """

    def __init__(
        self, walk: "_Walk", syntax: str, elements: Mapping[int, Element], wanted: frozenset[int]
    ) -> None:
        """Take what was found of the wanted tags; :func:`read_elements` finds it."""
        self.content, self.big_endian = walk.content, walk.big_endian
        self.syntax = syntax
        self._walk, self._elements, self._wanted = walk, elements, wanted

    def get(self, tag: Tag) -> Element | None:
        """Return where an element lies; None if the file has none."""
        return self._elements.get(tag.number)

    def has(self, tag: Tag) -> bool:
        """Return whether an element is there and has a value."""
        element = self.get(tag)
        return element is not None and element.end > element.start

    def text(self, tag: Tag) -> str:
        """Return text in capitals, without what fills it up; empty if there is none."""
        return self._bytes(tag).decode("latin-1").strip(" \0").upper()

    def numbers(self, tag: Tag, *, signed: bool = False) -> tuple[float, ...]:
        """Return all values of an element that holds numbers, as text or not; often none.

        Args:
            tag: the element.
            signed: whether two bytes are signed, of an element of which the standard leaves it
                open and the file states nothing.

        Raises:
            DamagedDicom: they are no finite numbers.
        """
        value = self._bytes(tag)
        vr = self._vr(tag)
        if signed and vr == b"US":
            vr = b"SS"
        try:
            if vr in _NUMBERS:
                size = struct.calcsize(_NUMBERS[vr])
                order = ">" if self.big_endian else "<"
                found = struct.unpack(f"{order}{len(value) // size}{_NUMBERS[vr]}", value)
            else:
                stripped = value.strip(b" \0")
                found = tuple(map(float, stripped.split(b"\\"))) if stripped else ()
        except (ValueError, struct.error):
            found = (math.nan,)
        if not all(map(math.isfinite, found)):
            raise DamagedDicom(f"its {tag.keyword} is no number")
        return found

    def whole(self, tag: Tag, default: int | None = None) -> int:
        """Return the one whole number of an element, of 0 to 65535.

        Raises:
            DamagedDicom: it has none, and there is no default; or it has several, or another.
        """
        found = self.numbers(tag)
        if not found and default is not None:
            return default
        if len(found) != 1 or found[0] != int(found[0]) or not 0 <= found[0] <= 0xFFFF:
            raise DamagedDicom(f"its {tag.keyword} is not one whole number")
        return int(found[0])

    def first_item(self, tag: Tag) -> "Dataset | None":
        """Return the first item of a sequence; None if the sequence is absent or empty.

        Raises:
            DamagedDicom: the element is no sequence.
        """
        element = self.get(tag)
        if element is None or element.end == element.start:
            return None
        for start, end in self._walk.items(element):
            found = self._walk.found(start, end, self._wanted)
            return Dataset(self._walk, self.syntax, found, self._wanted)
        raise DamagedDicom(f"its {tag.keyword} is no sequence")

    def items(self, element: Element) -> Iterator[memoryview]:
        """Return the bytes of each item of an element, such as the fragments of a frame."""
        view = memoryview(self.content)
        for start, end in self._walk.items(element):
            yield view[start:end]

    def _vr(self, tag: Tag) -> bytes:
        element = self.get(tag)
        stated = b"" if element is None else element.vr
        return tag.vr if stated in (b"", b"UN") else stated

    def _bytes(self, tag: Tag) -> bytes:
        element = self.get(tag)
        if element is None:
            return b""
        if element.end - element.start > _MAX_VALUE_BYTES or element.undefined:
            raise DamagedDicom(f"its {tag.keyword} is longer than {_MAX_VALUE_BYTES} bytes")
        return self.content[element.start : element.end]


def read_header(content: bytes) -> tuple[str, int]:
    """Read what precedes the elements (PS3.10, section 7.1).

    Args:
        content: the bytes of the file.

    Returns:
        The UID of the transfer syntax, empty if none is stated; and where the elements begin.
    """
    syntax, at = "", PREAMBLE_BYTES
    walk = _Walk(content, big_endian=False)
    for number, element in walk.elements(at, len(content), last_group=_LAST_GROUP_OF_HEADER):
        at = element.after
        if number == _TRANSFER_SYNTAX:
            value = content[element.start : min(element.end, element.start + _MAX_UID_BYTES)]
            syntax = value.decode("latin-1").strip(" \0")
    return syntax, at


def read_elements(content: bytes, at: int, syntax: str, wanted: Collection[Tag]) -> Dataset:
    """Find elements of a file and, in the first items of its sequences, elements below them.

    Of an element that occurs twice the last is taken. A file that ends within an element has as
    much of it as there is.

    Args:
        content: the bytes of the file.
        at: where the elements begin.
        syntax: the UID of the transfer syntax.
        wanted: what to find.

    Raises:
        DamagedDicom: the file has too many elements, or a sequence that does not end.
    """
    numbers = frozenset(tag.number for tag in wanted)
    walk = _Walk(content, big_endian=syntax == _BIG_ENDIAN)
    return Dataset(walk, syntax, walk.found(at, len(content), numbers), numbers)


class _Walk:
    """One pass over the elements of a file, with a limit on how many."""

    def __init__(self, content: bytes, *, big_endian: bool) -> None:
        self.content, self.big_endian = content, big_endian
        order = ">" if big_endian else "<"
        self._with_vr = struct.Struct(f"{order}HH2sH").unpack_from
        self._without = struct.Struct(f"{order}HHI").unpack_from
        self._length = struct.Struct(f"{order}I").unpack_from
        self._left = _MAX_ELEMENTS

    def found(self, start: int, end: int, wanted: frozenset[int]) -> dict[int, Element]:
        """The wanted elements of the file or of an item."""
        return {
            number: element for number, element in self.elements(start, end) if number in wanted
        }

    def elements(
        self, at: int, end: int, *, last_group: int = 0xFFFF
    ) -> Iterator[tuple[int, Element]]:
        """Number and place of each element, up to the end or the first one of a later group."""
        implicit = self._is_implicit(at)
        while at + 8 <= end:
            number, vr, length, start = self._header(at, implicit)
            if number == _ITEM_END or number >> 16 > last_group:
                return
            if length == _UNDEFINED:
                element = Element(vr, start, self._end_of_sequence(start, implicit), True)
            else:
                element = Element(vr, start, min(start + length, end))
            yield number, element
            at = element.after

    def items(self, element: Element) -> Iterator[tuple[int, int]]:
        """Start and end of each item, up to the first one of undefined length."""
        at = element.start
        while at + 8 <= element.end:
            number, length = self._item(at)
            if number != _ITEM:
                raise DamagedDicom("a sequence of it contains something else than items")
            start = at + 8
            end = element.end if length == _UNDEFINED else start + length
            if end > element.end:
                raise DamagedDicom("an item of it is cut off")
            yield start, end
            # Where an item of undefined length ends would take a second walk, and nobody asks.
            at = end

    def _header(self, at: int, implicit: bool) -> tuple[int, bytes, int, int]:
        """Number, value representation, length and position of the value of an element."""
        self._count()
        if not implicit:
            group, number, vr, length = self._with_vr(self.content, at)
            if vr in _LONG:
                if at + 12 > len(self.content):
                    raise DamagedDicom("it is cut off")
                return group << 16 | number, vr, self._length(self.content, at + 8)[0], at + 12
            # Some writers leave it out of single elements; two letters are no usual length.
            if b"AA" <= vr <= b"ZZ":
                return group << 16 | number, vr, length, at + 8
        group, number, length = self._without(self.content, at)
        return group << 16 | number, b"", length, at + 8

    def _is_implicit(self, at: int) -> bool:
        """Whether elements from here on state no value representation; the first one tells."""
        letters = self.content[at + 4 : at + 6]
        return not (len(letters) == 2 and letters.isalpha() and letters.isupper())

    def _end_of_sequence(self, at: int, implicit: bool) -> int:
        """Position of the delimiter that ends a sequence of undefined length.

        Sequences nest as deep as the file likes, so what is open is a list and not Python's stack.
        """
        end = len(self.content)
        # Whether it is an item, and whether its elements state no value representation.
        open_ = [(False, implicit)]
        while at + 8 <= end:
            in_item, implicit = open_[-1]
            if in_item:
                number, _, length, at = self._header(at, implicit)
                if number == _ITEM_END:
                    open_.pop()
                elif length == _UNDEFINED:
                    open_.append((False, implicit))
                else:
                    at += length
                continue
            number, length = self._item(at)
            if number == _SEQUENCE_END:
                open_.pop()
                if not open_:
                    return at
                at += 8
            elif number != _ITEM:
                raise DamagedDicom("a sequence of it contains something else than items")
            elif length == _UNDEFINED:
                at += 8
                open_.append((True, implicit or self._is_implicit(at)))
            else:
                at += 8 + length
        raise DamagedDicom("it is cut off")

    def _item(self, at: int) -> tuple[int, int]:
        """Number and length of an item or a delimiter."""
        self._count()
        group, number, length = self._without(self.content, at)
        return group << 16 | number, length

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DamagedDicom(f"it has more than {_MAX_ELEMENTS} elements")
