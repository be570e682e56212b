"""DICOM files as somebody makes them who has read the code, written byte by byte."""

import struct
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from dicom_files import jpeg
from synthetic import encoded, noisy_gradient

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_2000, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
SPECIFIC_CHARACTER_SET, MODALITY, BODY_PART, VIEW = 0x00080005, 0x00080060, 0x00180015, 0x00185101
CHANNELS, PHOTOMETRIC, FRAMES = 0x00280002, 0x00280004, 0x00280008
ROWS, COLUMNS, ALLOCATED, STORED, HIGH, SIGNED = (
    0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
)  # fmt: skip
PADDING, PADDING_LIMIT, CENTER, WIDTH = 0x00280120, 0x00280121, 0x00281050, 0x00281051
INTERCEPT, SLOPE, FUNCTION = 0x00281052, 0x00281053, 0x00281056
MODALITY_LUT, LUT_DESCRIPTOR, LUT_DATA, VOI_LUT = 0x00283000, 0x00283002, 0x00283006, 0x00283010
AGE = 0x00101010
FRAME_GROUPS, FRAME_OFFSETS, PIXEL_DATA = 0x52009230, 0x7FE00001, 0x7FE00010
_LONG = (b"OB", b"OW", b"OV", b"SQ", b"UN", b"UT")
_TEXT = {
    SPECIFIC_CHARACTER_SET: b"CS", MODALITY: b"CS", BODY_PART: b"CS", VIEW: b"CS",
    PHOTOMETRIC: b"CS", FRAMES: b"IS", CENTER: b"DS", WIDTH: b"DS", INTERCEPT: b"DS", SLOPE: b"DS",
    FUNCTION: b"CS",
}  # fmt: skip
# Everything that is read but pixels and sequences.
READ = (
    MODALITY, BODY_PART, VIEW, CHANNELS, PHOTOMETRIC, FRAMES, ROWS, COLUMNS, ALLOCATED, STORED,
    HIGH, SIGNED, PADDING, PADDING_LIMIT, CENTER, WIDTH, INTERCEPT, SLOPE, FUNCTION,
)  # fmt: skip

Value = bytes | int | str | tuple[bytes, bytes]


def number(tag: int, length: int, vr: bytes = b"", order: str = "<") -> bytes:
    """The head of an element; without a value representation that of implicit VR."""
    group, element = tag >> 16, tag & 0xFFFF
    if not vr:
        return struct.pack(f"{order}HHI", group, element, length)
    if vr in _LONG:
        return struct.pack(f"{order}HH2sHI", group, element, vr, 0, length)
    return struct.pack(f"{order}HH2sH", group, element, vr, length)


def element(tag: int, value: Value, *, syntax: str = IMPLICIT) -> bytes:
    """An element; a value with a VR is a pair, a number takes two bytes."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    vr, value = value if isinstance(value, tuple) else (_TEXT.get(tag, b"US"), value)
    if isinstance(value, int):
        value = struct.pack(f"{order}H", value)
    elif isinstance(value, str):
        value = value.encode()
    value += b"\0" * (len(value) % 2)
    return number(tag, len(value), b"" if syntax == IMPLICIT else vr, order) + value


def head(syntax: str = IMPLICIT, extra: bytes = b"") -> bytes:
    """Preamble and group 2."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + extra + number(0x00020010, len(uid), b"UI") + uid


def sequence(tag: int, items: list[bytes], *, vr: bytes = b"", undefined: bool = False) -> bytes:
    """A sequence, little endian; of undefined length with its items, or not."""
    if undefined:
        inside = b"".join(
            number(ITEM, UNDEFINED) + item + number(ITEM_END, 0) for item in items
        ) + number(SEQUENCE_END, 0)
        return number(tag, UNDEFINED, vr) + inside
    inside = b"".join(number(ITEM, len(item)) + item for item in items)
    return number(tag, len(inside), vr) + inside


def fragments(*parts: bytes, offsets: bytes = b"") -> bytes:
    """Encapsulated pixels: the table of offsets, then the fragments."""
    inside = b"".join(number(ITEM, len(part)) + part for part in (offsets, *parts))
    return number(PIXEL_DATA, UNDEFINED, b"OB") + inside + number(SEQUENCE_END, 0)


def film(
    samples: np.ndarray | None = None,
    *,
    syntax: str = IMPLICIT,
    pixels: bytes | None = None,
    raw: dict[int, bytes] | None = None,
    **changed: Value | None,
) -> bytes:
    """A film of these samples.

    Args:
        samples: ``[H, W] uint8 or uint16``, by default a gradient of 8 bits.
        syntax: the UID of the transfer syntax.
        pixels: the whole element of the pixels, in the place of the samples.
        raw: elements as they are to be written, head included, by tag.
        changed: values by the names of this module's tags in small letters; None leaves one out.
    """
    samples = noisy_gradient((80, 64), seed=0) if samples is None else samples
    bits = 8 * samples.itemsize
    values: dict[int, Value | None] = {
        MODALITY: "DX", BODY_PART: "CHEST ", VIEW: "PA", CHANNELS: 1, PHOTOMETRIC: "MONOCHROME2 ",
        ROWS: samples.shape[0], COLUMNS: samples.shape[1], ALLOCATED: bits, STORED: bits,
        HIGH: bits - 1, SIGNED: int(samples.dtype.kind == "i"),
    }  # fmt: skip
    values |= {globals()[name.upper()]: value for name, value in changed.items()}
    written = {
        tag: element(tag, value, syntax=syntax)
        for tag, value in values.items()
        if value is not None
    }
    written |= raw or {}
    order = ">" if syntax == BIG_ENDIAN else "<"
    stored = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    vr = b"OW" if bits == 16 else b"OB"
    written[PIXEL_DATA] = pixels or element(PIXEL_DATA, (vr, stored), syntax=syntax)
    return head(syntax) + b"".join(written[tag] for tag in sorted(written))


def jpeg_2000_film(side: int, *, noise: int = 256) -> bytes:
    """A film of 16 bits, some of which are noise, compressed without loss."""
    samples = np.random.default_rng(0).integers(0, noise, (side, side), dtype=np.uint16)
    samples += 3 * np.arange(side, dtype=np.uint16)
    frame = encoded(Image.fromarray(samples), "JPEG2000")
    frame = frame[frame.index(b"\xff\x4f\xff\x51") :]
    pixels = fragments(frame + b"\0" * (len(frame) % 2))
    bits = {"allocated": 16, "stored": 16, "high": 15}
    return film(syntax=JPEG_2000, pixels=pixels, rows=side, columns=side, **bits)


def _long(tag: int, n_bytes: int) -> bytes:
    """An element of many values, as long as that."""
    value = b"1\\" * (n_bytes // 2)
    return number(tag, len(value)) + value


def _deep(depth: int) -> bytes:
    """Sequences in sequences, none of which ends."""
    return (number(FRAME_GROUPS, UNDEFINED) + number(ITEM, UNDEFINED)) * depth


def _markers(marker: bytes, n_bytes: int) -> bytes:
    return film(syntax=JPEG_BASELINE, pixels=fragments(b"\xff\xd8" + marker * (n_bytes // 2)))


def _scans(n_bytes: int) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    whole = jpeg(noisy_gradient((80, 64), seed=0), progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    again = last * (n_bytes // len(last))
    return film(syntax=JPEG_BASELINE, pixels=fragments(whole[:-2] + again + whole[-2:]))


def _tiles(side: int, tile: int, *, layers: int = 1, levels: int = 5) -> bytes:
    """A JPEG 2000 frame that has a header and no data."""
    size = struct.pack(">HIIIIIIIIHBBB", 0, side, side, 0, 0, tile, tile, 0, 0, 1, 7, 1, 1)
    coding = struct.pack(">BBHBBBBBB", 0, 0, layers, 0, levels, 4, 4, 0, 1)
    quantisation = bytes([0x40]) + bytes([8 << 3] * (3 * levels + 1))
    frame = b"\xff\x4f"
    for marker, body in ((0x51, size), (0x52, coding), (0x5C, quantisation)):
        frame += struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    for at in range(min((-(-side // tile)) ** 2, 100)):
        frame += struct.pack(">BBHHIBB", 0xFF, 0x90, 10, at, 14, 0, 1) + b"\xff\x93"
    return film(syntax=JPEG_2000, pixels=fragments(frame + b"\xff\xd9"), rows=side, columns=side)


def _runs(n_bytes: int) -> bytes:
    """An RLE frame of runs of a single sample."""
    side = min(int((n_bytes // 2) ** 0.5), 5400)
    header = struct.pack("<16I", 1, 64, *[0] * 14)
    frame = header + b"\0\x7f" * (side * side)
    return film(syntax=RLE, pixels=fragments(frame), rows=side, columns=side)


def _filled(n_bytes: int) -> bytes:
    """A JPEG 2000 frame of 16 bits in two parts, nearly all of which fill up."""
    size = struct.pack(">HIIIIIIIIHBBB", 0, 4000, 4000, 0, 0, 4000, 4000, 0, 0, 1, 15, 1, 1)
    head_ = b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size
    half = bytes(n_bytes // 4 * 2)
    wide = {"rows": 4000, "columns": 4000, "allocated": 16, "stored": 16, "high": 15}
    return film(syntax=JPEG_2000, pixels=fragments(head_ + half + b"\0", half), **wide)


# Files that cost a reader much that believes them, by name: of how many bytes they are is given.
COSTLY: dict[str, Callable[[int], bytes]] = {
    "windows": lambda n: film(raw={CENTER: _long(CENTER, n), WIDTH: element(WIDTH, "9")}),
    "windows in UN": lambda n: film(
        syntax=EXPLICIT,
        raw={CENTER: number(CENTER, n, b"UN") + b"1\\" * (n // 2)},
        width="9",
    ),
    "frames": lambda n: film(raw={FRAMES: _long(FRAMES, n)}),
    "rows": lambda n: film(raw={ROWS: _long(ROWS, n)}),
    "modality": lambda n: film(raw={MODALITY: _long(MODALITY, n)}),
    "character sets": lambda n: film(
        raw={SPECIFIC_CHARACTER_SET: _long(SPECIFIC_CHARACTER_SET, n)}
    ),
    "character sets of items": lambda n: film(
        raw={
            FRAME_GROUPS: sequence(
                FRAME_GROUPS,
                [_long(SPECIFIC_CHARACTER_SET, 60_000)] * (n // 60_000),
                undefined=True,
            )
        }
    ),
    "empty LUTs": lambda n: film(raw={VOI_LUT: sequence(VOI_LUT, [b""] * (n // 8))}),
    "empty LUTs that end": lambda n: film(
        raw={VOI_LUT: sequence(VOI_LUT, [b""] * (n // 16), undefined=True)}
    ),
    "LUT descriptor": lambda n: film(
        raw={VOI_LUT: sequence(VOI_LUT, [_long(LUT_DESCRIPTOR, n) + element(LUT_DATA, b"")])}
    ),
    "LUT": lambda n: film(
        raw={
            VOI_LUT: sequence(
                VOI_LUT, [element(LUT_DESCRIPTOR, b"\1\0\0\0\x08\0") + _long(LUT_DATA, n)]
            )
        }
    ),
    "elements": lambda n: film(
        raw={0x00090000: b"".join(number(0x00090000 + i, 0) for i in range(2**16)) * (n // 2**19)}
    ),
    "header": lambda n: head(extra=number(0x00020003, 0, b"UI") * (n // 8)) + film()[132:],
    "groups": lambda n: film(
        raw={FRAME_GROUPS: sequence(FRAME_GROUPS, [b""] * (n // 16), undefined=True)}
    ),
    "depth": lambda n: film(raw={FRAME_GROUPS: _deep(n // 16)}),
    "fragments": lambda n: film(syntax=JPEG_BASELINE, pixels=fragments(*[b""] * (n // 8))),
    "private pixels": lambda n: film(raw={0x00091001: number(0x00091001, n) + bytes(n)}),
    "JPEG restarts": lambda n: _markers(b"\xff\xd0", n),
    "JPEG fill": lambda n: _markers(b"\xff\xff", n),
    "JPEG segments": lambda n: _markers(b"\xff\xe0\0\2", 2 * (n // 4)),
    "JPEG scans": _scans,
    "JPEG 2000 tiles": lambda n: _tiles(4400, 18),
    "JPEG 2000 layers": lambda n: _tiles(4400, 4400, layers=65535, levels=32),
    "JPEG 2000 levels": lambda n: _tiles(4400, 100, layers=65535, levels=32),
    "RLE runs": _runs,
    "filled frame": _filled,
}


def seeds() -> Iterator[bytes]:
    """Small ones of each kind, for mutation."""
    for make in COSTLY.values():
        yield make(2048)
    item = element(LUT_DESCRIPTOR, b"\0\1\0\0\x08\0") + element(LUT_DATA, bytes(range(256)))
    luts = {tag: sequence(tag, [item]) for tag in (MODALITY_LUT, VOI_LUT)}
    wide = noisy_gradient((80, 64), seed=0).astype(np.uint16) << 4
    for syntax in (IMPLICIT, EXPLICIT, BIG_ENDIAN):
        yield film(wide, syntax=syntax, stored=12, high=15, padding=0, padding_limit=9)
        yield film(wide, syntax=syntax, signed=1, slope="1", intercept="0", center="9", width="99")
    yield film(raw=luts)
    frame = jpeg(noisy_gradient((80, 64), seed=0))
    yield film(syntax=JPEG_BASELINE, pixels=fragments(frame[:99], frame[99:], offsets=bytes(4)))
