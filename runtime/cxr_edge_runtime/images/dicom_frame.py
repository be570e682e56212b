"""The one frame of a DICOM file: its samples as they are stored, compressed or not.

Whatever a file says of the number of its frames, or does not say, their bytes are counted too: the
first of several is never taken for the film.
"""

import re
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.images.decoding_limits import MeteredBytes, max_scans
from cxr_edge_runtime.images.dicom_decompression import FrameShape, decompressed
from cxr_edge_runtime.images.dicom_elements import DamagedDicom, Dataset, Tag

FRAME_OFFSETS = Tag(0x7FE00001, "ExtendedOffsetTable", "OV")

# Implicit VR, explicit VR, and the same big endian, which was retired.
NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
RLE = "1.2.840.10008.1.2.5"
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
_JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91))
# What gdcm decompresses; of later kinds, such as High-Throughput JPEG 2000, it knows nothing.
COMPRESSED = _JPEG | _JPEG_LS | _JPEG_2000 | {RLE}

# Of High-Throughput JPEG 2000, in the capabilities that a frame asks for.
_HIGH_THROUGHPUT = 0x4000
_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
# A frame that ends and another that starts, with whatever fills up in between, also where
# fragments meet. No code has the end inside. No step is taken back, and the fragments are few, so
# that the search takes time in proportion to the bytes.
_SECOND_FRAME = re.compile(
    rb"\xff\xd9[\0\xff]*+(?:\xfe\xff\0\xe0....[\0\xff]*+){0,8}+(?<=\xff)(?:\xd8\xff|\x4f\xff\x51)",
    re.DOTALL,
)
_JPEG_SCAN = b"\xff\xda"
# What a lossless code may take beyond the samples themselves; a longer frame is filled up.
_ROOM_BYTES = 1_000_000
# Of the frame's start, which has its size.
_HEAD_BYTES = 1_000_000
# Bytes that a writer of samples may fill up with, where a row has fewer.
_FILL_BYTES = 512
# Fragments are read in two steps each; films have one or some hundred.
_MAX_READS = 100_000
# JPEG writers make some ten before the one with the size.
_MAX_SEGMENTS = 1000
# Writers that put the file format's boxes before the code need a hundred bytes for them.
_MAX_BOXES_BYTES = 4096
# Start of frame (ITU-T T.81, table B.1) of codes that are lossy, of all, and of JPEG-LS.
_LOSSY = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_LS_FRAME = 0xF7
_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {_JPEG_LS_FRAME}
# Markers without a length.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FILL = 0xFF


class SeveralFrames(Exception):
    """The file contains more than one frame."""


class UnsupportedFrame(Exception):
    """Why gdcm cannot decompress a frame, for a message."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The samples of a frame.

    Attributes:
        cells: ``[H, W] uint8 or uint16``, as stored in the file; signs and other bits are not
            looked at yet.
        precision: how many of the lower bits of a cell may mean something.
    """

    cells: NDArray[Any]
    precision: int


def native_samples(dataset: Dataset, shape: FrameShape) -> Samples:
    """Return the samples of a frame that is not compressed; they are not copied.

    Raises:
        DamagedDicom: there are fewer than the shape asks for.
        SeveralFrames: there is more than a row more, and more than 512 bytes.
    """
    pixels = dataset.pixels
    assert pixels is not None
    if pixels.undefined:
        raise DamagedDicom("its pixels are compressed, but its transfer syntax says they are not")
    count = shape.rows * shape.columns
    n_bytes, there = count * shape.allocated // 8, len(pixels.value)
    if there < n_bytes:
        raise DamagedDicom("it has fewer pixels than its rows and columns require")
    if there - n_bytes > max(n_bytes // shape.rows, _FILL_BYTES):
        raise SeveralFrames
    order = ">" if dataset.big_endian else "<"
    if shape.allocated == 16:
        cells = np.frombuffer(pixels.value, f"{order}u2", count)
    elif dataset.big_endian and pixels.vr == "OW" and there % 2 == 0:
        # Pairs of samples are one number each.
        pairs = np.frombuffer(pixels.value, ">u2", there // 2)
        cells = pairs.astype("<u2").view(np.uint8)[:count]
    else:
        cells = np.frombuffer(pixels.value, np.uint8, count)
    return Samples(cells.reshape(shape.rows, shape.columns), shape.allocated)


def compressed_samples(dataset: Dataset, shape: FrameShape, name: str) -> Samples:
    """Decompress the frame.

    Args:
        dataset: the elements of the file.
        shape: what they say of the frame.
        name: what error messages call the image.

    Raises:
        DamagedDicom: there is no frame, or one of another size.
        SeveralFrames: there are more than one.
        UnsupportedFrame: it is compressed in a way that gdcm does not know, has many scans, or
            takes more bytes than its samples.
        ImageError: as :func:`cxr_edge_runtime.images.dicom_decompression.decompressed`.
    """
    fragments = _fragments(dataset, max_scans(shape.rows * shape.columns), name)
    most = shape.rows * shape.columns * shape.allocated // 8 + _ROOM_BYTES
    if sum(map(len, fragments)) > most:
        raise UnsupportedFrame("a compressed frame larger than its samples")
    if dataset.syntax == RLE:
        precision = shape.allocated
    else:
        size = _jpeg_2000_size if dataset.syntax in _JPEG_2000 else _jpeg_size
        try:
            rows, columns, precision = size(_head(fragments))
        except struct.error:
            raise DamagedDicom("its compressed frame has no header") from None
        if (rows, columns) != (shape.rows, shape.columns):
            raise DamagedDicom("the size of its compressed frame is not that of its header")
    # gdcm makes samples as wide as these two codes say, and is told so; of the others it knows.
    allocated, stored = shape.allocated, shape.stored
    if dataset.syntax in _JPEG_2000 | _JPEG_LS:
        allocated, stored = 8 if precision <= 8 else 16, precision
    cells = decompressed(
        fragments, dataset.syntax, replace(shape, allocated=allocated, stored=stored),
        file_bytes=len(dataset.content), name=name,
    )  # fmt: skip
    return Samples(cells, min(precision, 8 * cells.itemsize))


def _fragments(dataset: Dataset, most_scans: int, name: str) -> list[memoryview]:
    """The parts of the one frame; none of them is copied."""
    from pydicom.encaps import parse_fragments

    pixels = dataset.pixels
    assert pixels is not None
    if not pixels.undefined:
        raise DamagedDicom("its pixels are not compressed, but its transfer syntax says they are")
    content = memoryview(dataset.content)
    file = MeteredBytes(dataset.content, name, max_reads=_MAX_READS)
    file.seek(pixels.start)
    items = []
    for at in parse_fragments(file)[1]:
        end = at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        if end > len(content):
            raise DamagedDicom("it is truncated")
        items.append(content[at + 8 : end])
    # The first item says where frames start, four bytes each; so does, in eight, another element.
    offsets, *fragments = items or [content[:0]]
    long_offsets = dataset.get(FRAME_OFFSETS)
    if len(offsets) > 4 or (long_offsets and len(long_offsets.value) > 8):
        raise SeveralFrames
    if not fragments:
        raise DamagedDicom("it has no frame")
    starts = sum(part[:2] == _JPEG_START or part[:4] == _J2K_START for part in fragments)
    # Of RLE each fragment is a frame of its own (PS3.5, A.4.2).
    if starts > 1 or (dataset.syntax == RLE and len(fragments) > 1):
        raise SeveralFrames
    if dataset.syntax != RLE:
        _search(dataset.content, pixels.start, end, most_scans)
    return fragments


def _search(content: bytes, start: int, end: int, most_scans: int) -> None:
    """Refuse frames by markers that no code has inside."""
    if _SECOND_FRAME.search(content, start, end):
        raise SeveralFrames
    if content.count(_JPEG_SCAN, start, end) > most_scans:
        raise UnsupportedFrame(f"a JPEG with more than {most_scans} scans")


def _head(fragments: list[memoryview]) -> bytes:
    """The start of a frame, which fragments may cut anywhere."""
    head = bytearray()
    for part in fragments:
        head += part[: _HEAD_BYTES - len(head)]
    return bytes(head)


def _jpeg_size(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and bits of a sample, of JPEG and JPEG-LS."""
    at = 0
    for _ in range(_MAX_SEGMENTS):
        fill, marker = struct.unpack_from("2B", frame, at)
        if fill != _FILL:
            break
        if marker in _FRAMES:
            precision, rows, columns, channels = struct.unpack_from(">BHHB", frame, at + 4)
            if channels != 1:
                raise DamagedDicom("grey, but its frame has several channels")
            if marker in _LOSSY and precision > 8:
                raise UnsupportedFrame("lossy JPEG of more than 8 bits")
            if marker == _JPEG_LS_FRAME and precision < 8:
                raise UnsupportedFrame("JPEG-LS of fewer than 8 bits")
            return rows, columns, precision
        if marker == _FILL:
            at += 1
        elif marker in _ALONE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    raise DamagedDicom("its compressed frame has no header")


def _jpeg_2000_size(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and bits of a sample (ISO/IEC 15444-1, A.5.1)."""
    at = frame.find(_J2K_START, 0, _MAX_BOXES_BYTES)
    if at < 0:
        raise DamagedDicom("its compressed frame has no header")
    capabilities, right, bottom, left, top = struct.unpack_from(">H4I", frame, at + 6)
    channels, bits = struct.unpack_from(">HB", frame, at + 40)
    if capabilities & _HIGH_THROUGHPUT:
        raise UnsupportedFrame("High-Throughput JPEG 2000")
    if channels != 1:
        raise DamagedDicom("grey, but its frame has several channels")
    precision = (bits & 0x7F) + 1
    if precision > 16:
        raise UnsupportedFrame("JPEG 2000 of more than 16 bits")
    return bottom - top, right - left, precision
