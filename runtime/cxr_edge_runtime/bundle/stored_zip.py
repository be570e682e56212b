"""The ZIP files that bundles are packed in: uncompressed, without dates or owners.

Any tool can open them. Of the many ways to write a ZIP file only one is used, so equal files give
equal bytes. Zip64 is not needed: the 16 files of a bundle have at most 3.2 GB.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cxr_edge_runtime.errors import BundleCorrupted, BundleInvalid

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
# Version 2.0 of the format, no flags, stored, at midnight of the first day that ZIP knows.
_HOW = (20, 0, 0, 0, (1 << 5) | 1)
_UNIX = 3 << 8
_PLAIN_FILE = 0o100644 << 16
# What a file system takes as a name.
_MAX_NAME = 255
_CHUNK = 1 << 20

_PACK_AGAIN = "copy the archive again, or make it again with cxr-edge pack"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a ZIP file states twice of each file: before its bytes, and in the table at the end."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def end(self) -> int:
        return self.offset + _LOCAL.size + len(self.name) + self.size

    def local_header(self) -> bytes:
        return _LOCAL.pack(b"PK\3\4", *self._facts()) + self.name.encode("ascii")

    def central_header(self) -> bytes:
        more = (0, 0, 0, _PLAIN_FILE, self.offset)
        head = _CENTRAL.pack(b"PK\1\2", _UNIX | _HOW[0], *self._facts(), *more)
        return head + self.name.encode("ascii")

    def _facts(self) -> tuple[int, ...]:
        return (*_HOW, self.crc, self.size, self.size, len(self.name), 0)


def write_stored(file: BinaryIO, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write a ZIP file.

    Args:
        file: it is written to from its current position.
        contents: the name, in ASCII, and the bytes of every file, in order.
    """
    entries: list[_Entry] = []
    offset = 0
    for name, content in contents:
        entry = _Entry(name, len(content), zlib.crc32(content), offset)
        file.write(entry.local_header())
        file.write(content)
        entries.append(entry)
        offset = entry.end
    file.write(_directory(entries))


class StoredReader:
    """Reads what :func:`write_stored` wrote, from the first byte to the last.

    Anything that the writer would not have written is refused where it is met. Each header is read
    before its file is asked for.

    Raises, in every method:
        BundleInvalid: :func:`write_stored` does not write these bytes.
        BundleCorrupted: the file ends too early, or a file in it is damaged.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the first header.

        Args:
            file: an open file at its start.
            name: what error messages call the file.
        """
        self._file = file
        self._name = name
        self._entries: list[_Entry] = []
        self._offset = 0
        self._next = self._header()

    def next_is(self, name: str) -> bool:
        """Return whether the next file has this name."""
        return self._next is not None and self._next.name == name

    def chunks(self, name: str, sizes: range) -> Iterator[bytes]:
        """Yield the bytes of the next file, which must have this name and one of these sizes."""
        entry = self._next
        if entry is None or entry.name != name:
            found = "its end" if entry is None else repr(entry.name)
            raise BundleInvalid(f"{self._name}: expected {name}, found {found}; {_PACK_AGAIN}")
        if entry.size not in sizes:
            wanted = f"{sizes[-1]}" if len(sizes) == 1 else f"at most {sizes[-1]}"
            raise BundleInvalid(
                f"{self._name}: {name} has {entry.size} bytes, expected {wanted}; {_PACK_AGAIN}"
            )
        left, crc = entry.size, 0
        while left:
            chunk = self._read(min(left, _CHUNK))
            left -= len(chunk)
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if crc != entry.crc:
            raise BundleCorrupted(f"{self._name}: {name} is damaged; copy the archive again")
        self._entries.append(entry)
        self._next = self._header()

    def end(self) -> None:
        """Check that only the table follows, exactly as the writer would have written it."""
        last = self._entries[-1]
        expected = _directory(self._entries)
        self._file.seek(last.end)
        if self._file.read(len(expected) + 1) != expected:
            raise BundleInvalid(
                f"{self._name}: the end after {last.name} is damaged; {_PACK_AGAIN}"
            )

    def _header(self) -> _Entry | None:
        """What the next file is; None where the table begins."""
        offset = self._offset
        header = self._read(_LOCAL.size)
        if header.startswith(b"PK\1\2") and self._entries:
            return None
        if not self._entries and not header.startswith(b"PK"):
            raise BundleInvalid(f"{self._name}: not an archive of a bundle; {_PACK_AGAIN}")
        *_, crc, _, size, length, _ = _LOCAL.unpack(header)
        header += self._read(min(length, _MAX_NAME))
        name = header[_LOCAL.size :].decode("ascii", "replace")
        entry = _Entry(name, size, crc, offset)
        if not name.isascii() or header != entry.local_header():
            raise BundleInvalid(
                f"{self._name}: not as cxr-edge pack writes it at byte {offset}; {_PACK_AGAIN}"
            )
        return entry

    def _read(self, count: int) -> bytes:
        content = self._file.read(count)
        self._offset += len(content)
        if len(content) < count:
            raise BundleCorrupted(
                f"{self._name}: cut off after {self._offset} bytes; copy the archive again"
            )
        return content


def _directory(entries: list[_Entry]) -> bytes:
    """The table at the end."""
    table = b"".join(entry.central_header() for entry in entries)
    count = len(entries)
    return table + _END.pack(b"PK\5\6", 0, 0, count, count, len(table), entries[-1].end, 0)
