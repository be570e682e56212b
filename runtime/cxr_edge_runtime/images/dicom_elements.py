"""The elements of a DICOM file that a film needs, measured before any is converted.

pydicom finds them. It converts a value as a whole when it is asked for it, and a list of 2 million
numbers then takes a gigabyte; so values are read here from where they lie in the file.
"""

import math
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import MeteredBytes
from cxr_edge_runtime.images.dicom import PREAMBLE_BYTES

if TYPE_CHECKING:
    import pydicom

# Windows are the longest list that is read here; films have a handful, of 16 bytes each.
_MAX_VALUE_BYTES = 4096
# Elements are read in a few steps each and kept as objects of some hundred bytes; films have some
# hundred elements.
_MAX_READS = 100_000
# Long values are skipped, but not in sequences of undefined length, where a film may have
# lookup tables, a small image, or a megabyte that only its maker can read.
_MAX_BYTES_READ = 10_000_000
# pydicom looks up each character set as it finds it: a megabyte of them took 8 seconds.
_MAX_CHARACTER_SET_BYTES = 20_000

_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_CHARACTER_SET_HEADS = (b"\x08\0\5\0", b"\0\x08\0\5")
_CHARACTER_SET, _PIXEL_DATA, _TRANSFER_SYNTAX = 0x00080005, 0x7FE00010, 0x00020010
_GROUP_OF_HEADER = 2
_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


class DamagedDicom(Exception):
    """What is wrong with a file, for a message; it contains no value of an element."""


class _MeteredElements(MeteredBytes):
    """The bytes of a file, for pydicom to find its elements in."""

    def __init__(self, content: bytes, name: str) -> None:
        excess = UnsupportedImage(
            f"{name}: a DICOM file with too many elements, or too long ones in sequences of "
            "undefined length; export it without private elements"
        )
        super().__init__(
            content, name, max_reads=_MAX_READS, max_bytes=_MAX_BYTES_READ, excess=excess
        )
        self._is_character_set = False
        self._character_set_bytes_left = _MAX_CHARACTER_SET_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file.

        Raises:
            DamagedDicom: all character sets, of nested items, too, are longer than any.
            ImageError: as :class:`MeteredBytes`.
        """
        content = super().read(size)
        if self._is_character_set:
            self._character_set_bytes_left -= len(content)
            if self._character_set_bytes_left < 0:
                raise DamagedDicom("its SpecificCharacterSet is too long")
        # pydicom reads an element's tag in 8 bytes, and then its value as a whole.
        if size == 8:
            self._is_character_set = content[:4] in _CHARACTER_SET_HEADS
        return content


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
    vr: str


@dataclass(frozen=True, slots=True)
class Element:
    """Where the value of an element lies.

    Attributes:
        vr: the value representation that the file states; empty where it states none.
        start: position of the first byte.
        value: as much of the value as the file has; empty where it ends at a delimiter.
        undefined: whether it is a sequence, or compressed pixels, that ends at a delimiter.
    """

    vr: str
    start: int
    value: memoryview
    undefined: bool


class Dataset:
    """The elements of a file, or of an item in it, that were asked for.

    Attributes:
        content: the bytes of the file.
        syntax: the UID of its transfer syntax.
        big_endian: whether its numbers are.
        pixels: the element of the pixels, of a file that has one.
    """

    def __init__(
        self, content: bytes, file: _MeteredElements, syntax: str, found: "pydicom.Dataset"
    ) -> None:
        """Take what pydicom found; :func:`read_elements` finds it."""
        self.content, self.syntax = content, syntax
        self.big_endian = syntax == _BIG_ENDIAN
        self.pixels: Element | None = None
        self._file, self._found = file, found

    def get(self, tag: Tag) -> Element | None:
        """Return where an element lies; None if the file has none."""
        raw = self._raw(tag)
        if raw is None:
            return None
        # Of a sequence that ends at a delimiter pydicom says what it contains, not where.
        if not hasattr(raw, "value_tell"):
            return Element(raw.VR, 0, memoryview(b""), undefined=True)
        return _element(self.content, raw.VR, raw.value_tell, raw.length)

    def has(self, tag: Tag) -> bool:
        """Return whether an element is there and has a value."""
        element = self.get(tag)
        return element is not None and (element.undefined or len(element.value) > 0)

    def text(self, tag: Tag, *, capitals: bool = True) -> str:
        """Return text, in capitals or as it is, less what fills it up; empty if there is none."""
        text = self._bytes(tag).decode("latin-1").strip(" \0")
        return text.upper() if capitals else text

    def numbers(self, tag: Tag, *, signed: bool = False) -> tuple[float, ...]:
        """Return all values of an element that holds numbers, as text or not; often none.

        Of text, values that are empty are left out.

        Args:
            tag: the element.
            signed: whether two bytes are signed, of an element of which the standard leaves it
                open and the file states nothing.

        Raises:
            DamagedDicom: they are no finite numbers.
        """
        value, element = self._bytes(tag), self.get(tag)
        vr = tag.vr if element is None or element.vr in ("", "UN") else element.vr
        if signed and vr == "US":
            vr = "SS"
        try:
            if vr in _NUMBERS:
                size = struct.calcsize(_NUMBERS[vr])
                order = ">" if self.big_endian else "<"
                found = struct.unpack(f"{order}{len(value) // size}{_NUMBERS[vr]}", value)
            else:
                parts = (part.strip(b" \0") for part in value.split(b"\\"))
                found = tuple(float(part) for part in parts if part)
        except (ValueError, struct.error):
            found = (math.nan,)
        if not all(map(math.isfinite, found)):
            raise DamagedDicom(f"its {tag.keyword} is not a number")
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
        from pydicom.filereader import read_sequence_item

        element = self.get(tag)
        if element is None or not self.has(tag):
            return None
        if element.undefined and element.vr == "SQ":
            items = self._raw(tag).value
            item = items[0] if items else None
        else:
            order = ">" if self.big_endian else "<"
            if element.value[:4] != struct.pack(f"{order}HH", _ITEM >> 16, _ITEM & 0xFFFF):
                raise DamagedDicom(f"its {tag.keyword} is not a sequence")
            # Of an unknown representation, items state none of their own (PS3.5, 6.2.2).
            is_implicit = element.vr in ("", "UN")
            self._file.seek(element.start)
            item = read_sequence_item(self._file, is_implicit, not self.big_endian, "latin-1")
        return None if item is None else Dataset(self.content, self._file, self.syntax, item)

    def _raw(self, tag: Tag) -> Any:
        return self._found.get_item(tag.number, keep_deferred=True)

    def _bytes(self, tag: Tag) -> bytes:
        element = self.get(tag)
        if element is None:
            return b""
        if element.undefined or len(element.value) > _MAX_VALUE_BYTES:
            raise DamagedDicom(f"its {tag.keyword} is longer than {_MAX_VALUE_BYTES} bytes")
        return bytes(element.value)


def read_header(content: bytes, name: str) -> tuple[str, int]:
    """Read what precedes the elements (PS3.10, section 7.1).

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Returns:
        The UID of the transfer syntax, empty if none is stated; and where the elements begin.

    Raises:
        UnsupportedImage: it has too many elements.
    """
    from pydicom.filereader import read_dataset

    def is_over(tag: int, _vr: str | None, _length: int) -> bool:
        return tag >> 16 != _GROUP_OF_HEADER

    file = _MeteredElements(content, name)
    file.seek(PREAMBLE_BYTES)
    # The header is of explicit VR, little endian, whatever follows.
    found = read_dataset(file, False, True, stop_when=is_over, defer_size=_MAX_VALUE_BYTES)
    header = Dataset(content, file, "", found)
    syntax = header.text(Tag(_TRANSFER_SYNTAX, "TransferSyntaxUID", "UI"))
    return syntax, file.tell()


def read_elements(
    content: bytes, at: int, syntax: str, wanted: Collection[Tag], name: str
) -> Dataset:
    """Find elements of a file, up to its pixels.

    Args:
        content: the bytes of the file.
        at: where the elements begin.
        syntax: the UID of the transfer syntax.
        wanted: what to find.
        name: what error messages call the image.

    Raises:
        DamagedDicom: the character set is longer than any.
        UnsupportedImage: the file has too many elements.
    """
    from pydicom.filereader import read_dataset

    pixels = []

    def is_over(tag: int, vr: str | None, length: int) -> bool:
        # The one value that pydicom converts itself.
        if tag == _CHARACTER_SET and length > _MAX_VALUE_BYTES:
            raise DamagedDicom("its SpecificCharacterSet is too long")
        if tag == _PIXEL_DATA:
            pixels.append(_element(content, vr, file.tell(), length))
        return tag == _PIXEL_DATA

    file = _MeteredElements(content, name)
    file.seek(at)
    found = read_dataset(
        file, syntax == _IMPLICIT, syntax != _BIG_ENDIAN, stop_when=is_over,
        defer_size=_MAX_VALUE_BYTES, specific_tags=[tag.number for tag in wanted],
    )  # fmt: skip
    dataset = Dataset(content, file, syntax, found)
    dataset.pixels = pixels[-1] if pixels else None
    return dataset


def _element(content: bytes, vr: str | None, start: int, length: int) -> Element:
    undefined = length == _UNDEFINED
    value = memoryview(content)[start : start if undefined else start + length]
    return Element(vr or "", start, value, undefined)
