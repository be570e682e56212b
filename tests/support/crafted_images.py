"""Pictures built by somebody who has read the decoders: small, or cheap to send, and dear to open.

Each is as large as the limit on bytes allows unless asked for less; none needs a secret of a
decoder, only its documentation.
"""

import lzma
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from synthetic import encoded, noisy_gradient

FULL = 79_000_000
SHORT, LONG, RATIONAL, UNDEFINED, ASCII = 3, 4, 5, 7, 2
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY, SUB_DIRECTORIES = 34665, 34853, 40965, 330
_FILM = noisy_gradient((96, 80), seed=0)

Tag = tuple[int, int, int, int | bytes]


def film_jpeg(**options: object) -> bytes:
    """A small film as JPEG."""
    return encoded(Image.fromarray(_FILM), "JPEG", **options)


def film_png(**options: object) -> bytes:
    """A small film as PNG."""
    return encoded(Image.fromarray(_FILM), "PNG", **options)


def jpeg_segment(marker: int, content: bytes = b"") -> bytes:
    """A segment with its length."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(inserted: bytes, film: bytes = b"") -> bytes:
    """A JPEG with something after its first marker."""
    film = film or film_jpeg()
    return film[:2] + inserted + film[2:]


def jpeg_of_segments(marker: int, content: bytes, *, n_bytes: int = FULL) -> bytes:
    """A JPEG whose header has one segment again and again."""
    segment = jpeg_segment(marker, content)
    return jpeg_with(segment * (n_bytes // len(segment)))


def frame(
    marker: int = 0xC0, *, bits: int = 8, size: tuple[int, int] = (96, 80), channels: int = 1
) -> bytes:
    """A JPEG's frame header, of any kind, whose size is (width, height)."""
    each = b"".join(bytes([number + 1, 0x11, 0]) for number in range(channels))
    return jpeg_segment(marker, struct.pack(">BHHB", bits, *size[::-1], channels) + each)


def plain_jpeg(marker: int = 0xC0, *, bits: int = 8, channels: int = 1) -> bytes:
    """A JPEG made by hand, for kinds that Pillow does not write; its picture is empty."""
    tables = jpeg_segment(0xDB, bytes([0]) + bytes([16]) * 64)
    for number in (0x00, 0x10):
        tables += jpeg_segment(0xC4, bytes([number, 1]) + bytes(15) + b"\0")
    scan = bytes([channels]) + b"".join(bytes([n + 1, 0]) for n in range(channels))
    head = tables + frame(marker, bits=bits, channels=channels)
    return b"\xff\xd8" + head + jpeg_segment(0xDA, scan + bytes([0, 63, 0])) + b"\0\0\xff\xd9"


def jpeg_of_hidden_scans(scans: int = 30_000, *, marker: bytes = b"\xff\xd0") -> bytes:
    """A progressive JPEG of many scans behind a marker that has no length.

    Who takes the next two bytes, a comment's marker, for its length skips the true header, and
    lands in a second comment, on a false header of a single channel.
    """
    true = encoded(Image.new("L", (3000, 2500)).convert("RGB"), "JPEG", progressive=True)
    false = frame(size=(3000, 2500)) + b"\xff\xda\0\x08\x01\1\0\0\x3f\0"
    landing = len(true[:2]) + len(marker) + 0xFFFE
    first = jpeg_segment(0xFE, bytes(landing - len(true[:2] + marker) - 8))
    scan = b"\xff\xda\0\x08\x01\1\0\x01\x3f\0"
    return (
        true[:2]
        + marker
        + first
        + jpeg_segment(0xFE, false)
        + true[2:-2]
        + scan * scans
        + true[-2:]
    )


def directory(tags: Sequence[Tag], *, order: str = "<", at: int = 8, following: int = 0) -> bytes:
    """A directory of a TIFF: tag, type, number of values, and the value or its place."""
    entries = b""
    for tag, kind, count, value in tags:
        entries += struct.pack(order + "HHI", tag, kind, count)
        entries += value if isinstance(value, bytes) else struct.pack(order + "I", value)
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", following)


def tiff_head(order: str = "<", *, first: int = 8) -> bytes:
    """The first eight bytes of a TIFF."""
    return {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", first)


def film_tags(*, order: str = "<", at: int, bits: int = 8, **others: int) -> list[Tag]:
    """Tags of a plain grey film of 96x80 whose pixels lie at a place."""
    values = {
        256: 96, 257: 80, 258: bits, 259: 1, 262: 1, 273: at, 277: 1, 278: 80,
        279: (96 * bits + 7) // 8 * 80,
    }  # fmt: skip
    values |= {int(tag.removeprefix("tag")): value for tag, value in others.items()}
    return [
        (tag, LONG, 1, struct.pack(order + "I", value)) for tag, value in sorted(values.items())
    ]


def plain_tiff(*, order: str = "<", samples: bytes | None = None, **tags: int) -> bytes:
    """A TIFF of one uncompressed strip, 96x80, for tags that Pillow does not write.

    Args:
        order: ``<`` or ``>``.
        samples: the strip; by default greys of 8 bits.
        tags: further values, ``tag262=0``; ``bits`` is the depth of a sample.
    """
    at = 8 + 2 + 12 * (9 + len([tag for tag in tags if tag.startswith("tag")])) + 4
    content = directory(film_tags(order=order, at=at, **tags), order=order)
    return (tiff_head(order) + content).ljust(at, b"\0") + (samples or _FILM.tobytes())


def tiff_of_sub_directory(
    n_values: int = 38_000_000, *, order: str = "<", tag: int = EXIF_DIRECTORY, inner: int = 700
) -> bytes:
    """A film whose EXIF directory, or another one, has millions of numbers."""
    at = 8 + 2 + 12 * 10 + 4
    sub = at + _FILM.size
    values = sub + 2 + 12 + 4
    tags = sorted([*film_tags(order=order, at=at), (tag, LONG, 1, sub)])
    content = tiff_head(order) + directory(tags, order=order) + _FILM.tobytes()
    content += directory([(inner, SHORT, n_values, values)], order=order)
    return content + bytes(2 * n_values)


def tiff_of_repeated_values(*, order: str = "<", tags: int = 600) -> bytes:
    """A film whose EXIF directory states the same values under many tags."""
    at = 8 + 2 + 12 * 10 + 4
    sub = at + _FILM.size
    values = sub + 2 + 12 * tags + 4
    outer = sorted([*film_tags(order=order, at=at), (EXIF_DIRECTORY, LONG, 1, sub)])
    inner: list[Tag] = [(40_000 + tag, SHORT, 110_000, values) for tag in range(tags)]
    content = tiff_head(order) + directory(outer, order=order) + _FILM.tobytes()
    return content + directory(inner, order=order) + bytes(220_000)


def tiff_of_overlapping_pages(pages: int = 1000, *, tags: int = 65_535) -> bytes:
    """A film, and pages that begin four bytes after each other and have all tags there may be."""
    at = 8 + 2 + 12 * 9 + 4
    first = at + _FILM.size
    film = tiff_head() + directory(film_tags(at=at), following=first) + _FILM.tobytes()
    chain = bytearray(4 * pages + 2 + 12 * tags + 4)
    for page in range(pages):
        struct.pack_into("<H", chain, 4 * page, tags)
        following = first + 4 * (page + 1) if page + 1 < pages else 0
        struct.pack_into("<I", chain, 4 * page + 2 + 12 * tags, following)
    return film + chain


def exif_of_overlapping_directories(directories: int = 99, *, tags: int = 60_000) -> bytes:
    """An EXIF block whose sub-directories begin four bytes after each other."""
    places = 8 + 2 + 12 + 4
    first = places + 4 * directories
    head = tiff_head() + directory([(SUB_DIRECTORIES, LONG, directories, places)])
    head += struct.pack(f"<{directories}I", *range(first, first + 4 * directories, 4))
    return head + struct.pack("<HH", tags, 0) * directories + bytes(12 * tags + 4)


def exif_of_one_directory_again_and_again(tags: int = 60_000, places: int = 101) -> bytes:
    """An EXIF block whose tags all lead back to it, each many times."""
    values = 8 + 2 + 12 * tags + 4
    block = tiff_head() + directory([(SUB_DIRECTORIES, LONG, places, values)] * tags)
    return block + struct.pack("<I", 8) * places


def tiff_of_wide_tiles(height: int = 200_000) -> bytes:
    """A film 64 pixels wide in tiles of 100,000."""
    number, data = height // 16, zlib.compress(bytes(100_000 * 16), 9)
    at = 8 + 2 + 12 * 10 + 4
    start = at + 8 * number
    values = {256: 64, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, 322: 100_000, 323: 16}
    tags: list[Tag] = [(tag, LONG, 1, struct.pack("<I", value)) for tag, value in values.items()]
    tags += [(324, LONG, number, at), (325, LONG, number, at + 4 * number)]
    places = range(start, start + number * len(data), len(data))
    lists = struct.pack(f"<{number}I", *places) + struct.pack("<I", len(data)) * number
    return tiff_head() + directory(tags) + lists + data * number


def tiff_of_lzma(channels: int = 4) -> bytes:
    """A film of 30 million pixels in one strip of LZMA that may look back on all of it."""
    pixels = np.linspace(0, 250, 5000, dtype=np.uint8).repeat(6000 * channels).tobytes()
    window = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 << 20}]
    data = lzma.compress(pixels, filters=window)
    values = {
        256: 6000, 257: 5000, 259: 34925, 262: 2, 277: channels, 278: 5000, 279: len(data), 338: 2,
    }  # fmt: skip
    at = 8 + 2 + 12 * 10 + 4
    tags: list[Tag] = [(tag, LONG, 1, value) for tag, value in values.items()]
    tags += [(258, SHORT, channels, at), (273, LONG, 1, at + 2 * channels)]
    return tiff_head() + directory(sorted(tags)) + struct.pack("<H", 8) * channels + data


def exif_bomb(*, tags: int = 8000, order: str = "<", n_bytes: int = 1_000_000) -> bytes:
    """An EXIF block of 1 MB whose tags all state the whole block as their value."""
    values = 8 + 2 + 12 * tags + 4
    entries: list[Tag] = [
        (tag, UNDEFINED, n_bytes - values, values) for tag in range(1000, 1000 + tags)
    ]
    return (tiff_head(order) + directory(entries, order=order)).ljust(n_bytes, b"\0")


def jpeg_of_exif(block: bytes) -> bytes:
    """A JPEG with an EXIF block, in as many segments as it needs."""
    pieces = [block[at : at + 65_000] for at in range(0, len(block), 65_000)]
    return jpeg_with(b"".join(jpeg_segment(0xE1, b"Exif\0\0" + piece) for piece in pieces))


def jpeg_of_pictures(
    kinds: Sequence[int], *, order: str = "<", mark: bytes = b"", repeated_tags: int = 0
) -> bytes:
    """A JPEG with a multi-picture block; the pictures of those kinds follow it."""
    film, others = film_jpeg(), [jpeg_with(jpeg_segment(0xE1, mark)) for _ in kinds]
    number = 2 + repeated_tags
    values = 8 + 2 + 12 * number + 4
    n_bytes = 16 * (1 + len(kinds))
    begin = 2 + 4 + 4  # of the file's first marker, the segment's head and its name
    block_bytes = values + n_bytes
    place = 2 + 4 + 4 + block_bytes + len(film) - 2 - begin
    pictures = struct.pack(order + "IIIHH", 0x030000, len(film), 0, 0, 0)
    for kind, other in zip(kinds, others, strict=True):
        pictures += struct.pack(order + "IIIHH", kind, len(other), place, 0, 0)
        place += len(other)
    tags: list[Tag] = [(0xB001, LONG, 1, 1 + len(kinds)), (0xB002, UNDEFINED, n_bytes, values)]
    tags += [(0xC000 + tag, SHORT, n_bytes // 2, values) for tag in range(repeated_tags)]
    block = tiff_head(order) + directory(tags, order=order) + pictures
    return jpeg_with(jpeg_segment(0xE2, b"MPF\0" + block), film) + b"".join(others)


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_with(inserted: bytes, *, before: bytes = b"IDAT") -> bytes:
    """A PNG with something before its picture, or before its end."""
    film = film_png()
    at = film.index(before) - 4
    return film[:at] + inserted + film[at:]


def png_of_chunks(
    kind: bytes, content: bytes = b"", *, n_bytes: int = FULL, **where: bytes
) -> bytes:
    """A PNG with one chunk again and again."""
    one = chunk(kind, content)
    return png_with(one * (n_bytes // len(one)), **where)


def png_with_a_long_piece(n_bytes: int = FULL) -> bytes:
    """A film of 30 million pixels whose last piece is read whole, though the picture is over."""
    film = large_film("RGBA", "PNG", compress_level=1)
    at = film.index(b"IEND") - 4
    return film[:at] + chunk(b"IDAT", bytes(n_bytes - len(film) - 12)) + film[at:]


def png_of_packed_text(texts: int = 60) -> bytes:
    """A PNG of a few kilobytes whose texts unpack to a megabyte each, and to four in memory."""
    packed = zlib.compress("\N{GRINNING FACE}".encode() + b"a" * 1_048_000)
    text = b"".join(chunk(b"iTXt", b"k%d\0\1\0\0\0" % number + packed) for number in range(texts))
    return png_with(text)


def animated_png(frames: int, *, shows_the_film: bool = True) -> bytes:
    """A PNG that says it is animated; the film is its first frame, or shown by other readers."""
    inserted = chunk(b"acTL", struct.pack(">II", frames, 0))
    if shows_the_film:
        inserted += chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 96, 80, 0, 0, 1, 1, 0, 0))
    return png_with(inserted)


def webp_of_chunks(n_bytes: int = FULL, *, content: bytes = b"") -> bytes:
    """An extended WebP with one unknown chunk again and again."""
    film = encoded(Image.fromarray(_FILM).convert("RGB"), "WEBP", exif=b"Exif\0\0II*\0")
    one = b"abcd" + struct.pack("<I", len(content)) + content
    tail = one * (n_bytes // len(one))
    return b"RIFF" + struct.pack("<I", len(film) - 8 + len(tail)) + film[8:] + tail


def bmp_of_runs(size: tuple[int, int] = (6000, 5000)) -> bytes:
    """A BMP packed in runs of one pixel."""
    width, height = size
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    palette = b"".join(bytes([255 - grey] * 3 + [0]) for grey in range(256))
    start = 14 + len(head) + len(palette)
    runs = (b"\1\7" * width + b"\0\0") * height
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + head + palette + runs


def bmp_with_alpha(alpha: int) -> bytes:
    """A BMP of 32 bits whose fourth byte is the same everywhere."""
    height, width = _FILM.shape
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 32, 3, 0, 0, 0, 0, 0) + masks
    head = head.ljust(124, b"\0")
    pixels = np.dstack([_FILM, _FILM, _FILM, np.full_like(_FILM, alpha)])[::-1]
    content = b"BM" + struct.pack("<IHHI", 138 + pixels.size, 0, 0, 138) + head
    return content + pixels.tobytes()


def tiff_of_pages(kinds: Sequence[int], *, order: str = "<", tag: int = 254) -> bytes:
    """A TIFF of as many pages, each with what it says it is."""
    page_bytes = 2 + 12 * 10 + 4
    at = 8 + page_bytes * len(kinds)
    content = tiff_head(order)
    for number, kind in enumerate(kinds):
        tags: list[Tag] = [(tag, LONG, 1, kind), *film_tags(order=order, at=at)]
        following = 8 + page_bytes * (number + 1) if number + 1 < len(kinds) else 0
        content += directory(sorted(tags), order=order, following=following)
    return content + _FILM.tobytes()


def large_film(mode: str, format_: str, **options: object) -> bytes:
    """A film of 30 million pixels, stored lying on its side where the format can say so."""
    ramp = np.linspace(0, 200, 6000, dtype=np.float32)
    grey = np.add.outer(np.linspace(0, 50, 5000, dtype=np.float32), ramp).astype(np.uint8)
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode != "L":
        image = image.convert("RGB").convert(mode)
    if format_ == "TIFF":
        return encoded(image, format_, tiffinfo={0x0112: 6}, **options)
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, format_, exif=exif, **options)


# Each file of the issue that was found to take far more than it should, and its relatives.
DEAR: dict[str, Callable[[], bytes]] = {
    "frame headers": lambda: jpeg_with(frame() * (FULL // len(frame()))),
    "long frame headers": lambda: jpeg_of_segments(
        0xC0, struct.pack(">BHHB", 8, 80, 96, 1) + bytes(65_520)
    ),
    "hierarchical frame headers": lambda: jpeg_of_segments(0xDE, bytes(9)),
    "application segments": lambda: jpeg_of_segments(0xE5, b""),
    "comments": lambda: jpeg_of_segments(0xFE, b"ab"),
    "long application segments": lambda: jpeg_of_segments(0xE2, bytes(65_000)),
    "Photoshop blocks": lambda: jpeg_of_segments(
        0xED, b"Photoshop 3.0\0" + (b"8BIM\4\4\0\0" + bytes(4)) * 5000
    ),
    "quantization tables": lambda: jpeg_of_segments(0xDB, (b"\0" + bytes([9] * 64)) * 1000),
    "restart markers": lambda: jpeg_with(b"\xff\xd0" * (FULL // 2)),
    "fill bytes": lambda: jpeg_with(b"\xff" * FULL),
    "bytes between segments": lambda: jpeg_with(bytes(FULL)),
    "hidden scans": jpeg_of_hidden_scans,
    "hidden scans behind a start": lambda: jpeg_of_hidden_scans(marker=b"\xff\xd8"),
    "hidden scans behind an end": lambda: jpeg_of_hidden_scans(marker=b"\xff\xd9"),
    "EXIF bomb": lambda: jpeg_of_exif(exif_bomb()),
    "big-endian EXIF bomb": lambda: jpeg_of_exif(exif_bomb(order=">")),
    "multi-picture bomb": lambda: jpeg_of_pictures([0] * 3000, repeated_tags=1000),
    "EXIF directory": tiff_of_sub_directory,
    "big-endian GPS directory": lambda: tiff_of_sub_directory(order=">", tag=GPS_DIRECTORY),
    "interoperability directory": lambda: tiff_of_sub_directory(tag=INTEROPERABILITY),
    "sub-directory": lambda: tiff_of_sub_directory(tag=SUB_DIRECTORIES),
    "repeated values": tiff_of_repeated_values,
    "overlapping pages": tiff_of_overlapping_pages,
    "overlapping EXIF directories": lambda: jpeg_of_exif(exif_of_overlapping_directories()),
    "one EXIF directory": lambda: jpeg_of_exif(exif_of_one_directory_again_and_again()),
    "wide tiles": tiff_of_wide_tiles,
    "LZMA": tiff_of_lzma,
    "empty chunks": lambda: png_of_chunks(b"abCd"),
    "empty chunks after the picture": lambda: png_of_chunks(b"abCd", before=b"IEND"),
    "empty pieces of a picture": lambda: png_of_chunks(b"IDAT", before=b"IEND"),
    "a long piece after the picture": png_with_a_long_piece,
    "packed texts": png_of_packed_text,
    "long texts": lambda: png_of_chunks(b"iTXt", b"k\0\0\0\0\0" + b"a" * 1_000_000),
    "profiles": lambda: png_of_chunks(b"iCCP", b"k\0\0" + zlib.compress(bytes(1_000_000))),
    "WebP chunks": webp_of_chunks,
    "a long WebP chunk": lambda: webp_of_chunks(content=bytes(20_000_000)),
    "BMP runs": bmp_of_runs,
    "BMP header": lambda: (
        b"BM" + struct.pack("<IHHII", FULL, 0, 0, 54, FULL - 14) + bytes(FULL - 18)
    ),
}
