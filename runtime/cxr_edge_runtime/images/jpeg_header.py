"""Checks of a JPEG's header, before Pillow and libjpeg trust what it states."""

import math
import struct
from collections.abc import Iterator

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import max_scans

# Pillow joins the EXIF blocks of a file and makes an object of every number in some of their tags.
# A camera writes one block, of 64 KB at most.
_MAX_EXIF_BLOCKS = 16
# Before the picture data. A film has about ten segments; a telephone's photograph with its depths
# has 200 of 64 KB. Pillow keeps an object of each: 79 MB of empty segments took 1.8 GB.
_MAX_SEGMENTS, _MAX_HEADER_BYTES = 1000, 10_000_000
# Bytes between segments, which Pillow reads one by one; some programs fill a page of 4096.
_MAX_FILL_BYTES = 100_000

_START, _START_OF_SCAN, _EXIF, _MPF = b"\xff\xd8", b"\xff\xda", b"Exif\0\0", b"MPF\0"
_SOS, _APP1, _APP2, _ADOBE = 0xDA, 0xE1, 0xE2, 0xEE
# Start of frame, of every kind of JPEG (ITU-T T.81, table B.1), of a hierarchical one and JPEG-LS.
_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xDE}
_JPEG_LS = 0xF7
# Without progression, so that one channel has one scan.
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
# Lossless and arithmetic coding are read where libjpeg was built with them, and where it was not,
# its message does not tell that from damage.
_READ_BY_EVERY_DECODER = frozenset({0xC0, 0xC1, 0xC2})
_READ_BY_SOME = frozenset({0xC3, 0xC9, 0xCA})
# Markers that a length follows, and those without, as Pillow and libjpeg take them; after any other
# both stop.
_WITH_LENGTH = frozenset({*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xF0), 0xFE})
_ALONE = frozenset({0x00, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})


class _TooMuchBetween(Exception):
    """More bytes between segments than any program leaves there."""


class _Header:
    """What stands before the picture data."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self.frame, self.frame_marker, self.n_frames = b"", 0, 0
        self.scan_channels = 0
        self.n_segments = self.n_alone = self.end = 0
        self.complete = self.adobe = False
        self.exif: list[bytes] = []
        self.mpf, self.mpf_at = b"", 0


def check_jpeg(content: bytes, name: str) -> int:
    """Refuse a JPEG that would cost its decoder too much; other damage is left to the decoder.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Returns:
        How many bytes its decoder will hold besides the file and the pixels.

    Raises:
        UnreadableImage: the file has more than 16 EXIF blocks, an EXIF block with too many values,
            or more than one frame header.
        UnsupportedImage: the file has more than 100 scans, or 33 of 30 million pixels, more than
            10 MB or 1000 segments before the picture, samples that have not 8 bits, a coding that
            is not read, or several pictures.
    """
    header = _read(content, name)
    # Of two, Pillow and libjpeg believe different ones, and Pillow keeps all.
    if header.n_frames > 1:
        raise UnreadableImage(f"{name}: damaged image (a JPEG with several frame headers)")
    if len(header.exif) > _MAX_EXIF_BLOCKS:
        raise UnreadableImage(f"{name}: damaged image (more than {_MAX_EXIF_BLOCKS} EXIF blocks)")
    if header.exif or header.mpf:
        _check_blocks(header, content, name)
    _check_kind(header, name)
    one_channel = header.frame[5:6] == b"\x01"
    one_scan = (
        header.complete
        and not header.n_alone
        and header.frame_marker in _SEQUENTIAL
        and one_channel
    )
    # The whole file is searched only where the header gives a reason: it takes 1 ms a megabyte, a
    # quarter of the time that decoding takes. No picture data contain the marker.
    most = max_scans(math.prod(struct.unpack_from(">HH", header.frame.ljust(5, b"\0"), 1)))
    if not one_scan and content.count(_START_OF_SCAN) > most:
        raise UnsupportedImage(
            f"{name}: a JPEG with more than {most} scans; export it as baseline JPEG or PNG"
        )
    # Pillow keeps the segments, and EXIF, XMP and profile once more.
    return 2 * header.end + _coefficient_bytes(header)


def _check_blocks(header: _Header, content: bytes, name: str) -> None:
    """Refuse EXIF that costs too much, and several pictures; most films have neither block."""
    from cxr_edge_runtime.images.directories import check_block
    from cxr_edge_runtime.images.jpeg_pictures import check_pictures

    check_block(b"".join(header.exif), name, what="EXIF")
    if header.mpf:
        check_block(header.mpf, name, what="MPF")
        check_pictures(content, header.mpf, header.mpf_at, name)


def _read(content: bytes, name: str) -> _Header:
    header = _Header()
    try:
        for marker, at, length in _segments(content):
            header.end = at + 2 + length
            header.n_segments += 1
            header.n_alone += not length
            if header.n_segments > _MAX_SEGMENTS or header.end > _MAX_HEADER_BYTES:
                raise UnsupportedImage(
                    f"{name}: a JPEG with more than {_MAX_SEGMENTS} segments or "
                    f"{_MAX_HEADER_BYTES // 1_000_000} MB before its picture; "
                    "export it without metadata"
                )
            _note(header, marker, content, at + 4)
    except _TooMuchBetween:
        raise UnreadableImage(
            f"{name}: damaged image (more than {_MAX_FILL_BYTES} bytes between JPEG segments)"
        ) from None
    except (struct.error, ValueError):
        header.complete = False
    return header


def _note(header: _Header, marker: int, content: bytes, at: int) -> None:
    """Keep what is asked of a segment whose content begins there and ends where the header does."""
    if marker in _FRAMES or marker == _JPEG_LS:
        header.n_frames += 1
        header.frame_marker, header.frame = marker, content[at : header.end]
    elif marker == _SOS:
        header.complete, header.scan_channels = True, int.from_bytes(content[at : at + 1])
    elif marker == _APP1 and content.startswith(_EXIF, at):
        block = content[at : header.end]
        header.exif.append(block if not header.exif else block.removeprefix(_EXIF))
    elif marker == _APP2 and content.startswith(_MPF, at):
        header.mpf_at, header.mpf = at + len(_MPF), content[at + len(_MPF) : header.end]
    elif marker == _ADOBE and content.startswith(b"Adobe", at):
        header.adobe = True


def _check_kind(header: _Header, name: str) -> None:
    """Refuse what no decoder here reads, which is no damage."""
    marker, frame = header.frame_marker, header.frame
    bits, channels = frame[0:1], frame[5:6]
    if marker == _JPEG_LS:
        what = "a JPEG-LS file"
    elif marker and marker not in _READ_BY_EVERY_DECODER | _READ_BY_SOME:
        what = "a lossless or hierarchical JPEG"
    elif bits and 8 < bits[0] <= 16:
        what = f"a JPEG with {bits[0]} bits per sample"
    elif channels == b"\x02":
        what = "a JPEG with 2 channels"
    elif channels == b"\x04" and header.complete and not header.adobe:
        # Pillow takes light for dark as Adobe's programs do, which other programs do not.
        what = "a CMYK JPEG that does not say whether it is inverted"
    else:
        return
    raise _unsupported(what, name)


def _unsupported(what: str, name: str) -> UnsupportedImage:
    return UnsupportedImage(
        f"{name}: {what}; export it as baseline JPEG, or as PNG of 8 or 16 bits"
    )


def check_coding(content: bytes, name: str) -> None:
    """Say of a JPEG that could not be decoded whether that is for its coding.

    Raises:
        UnsupportedImage: it is lossless or arithmetic-coded, which only some decoders read.
    """
    if _read(content, name).frame_marker in _READ_BY_SOME:
        raise _unsupported("damaged, or a lossless or arithmetic-coded JPEG", name)


def _coefficient_bytes(header: _Header) -> int:
    """Two bytes for each sample of a picture that comes in several scans."""
    if len(header.frame) < 6:
        return 0
    height, width, channels = struct.unpack_from(">HHB", header.frame, 1)
    if header.frame_marker not in _PROGRESSIVE and header.scan_channels == channels:
        return 0
    sampling = (
        [factors >> 4 for factors in header.frame[7::3]],
        [factors & 15 for factors in header.frame[7::3]],
    )
    across, down = (max(factors, default=1) or 1 for factors in sampling)
    share = sum(a * b for a, b in zip(*sampling, strict=True)) / (across * down)
    return int(2 * height * width * share)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """The segments up to the first scan, found as Pillow and libjpeg find them.

    Returns:
        Each marker without its FF, where it stands, and its length, 0 where it has none.

    Raises:
        struct.error: the file ends.
        ValueError: there is no marker, so that Pillow refuses the file.
        _TooMuchBetween: Pillow would read very many bytes one by one.
    """
    at, skipped = len(_START), 0
    while True:
        found = content.find(b"\xff", at, at + _MAX_FILL_BYTES)
        if found < 0 and at + _MAX_FILL_BYTES >= len(content):
            raise ValueError("no marker")
        skipped += found - at
        if found < 0 or skipped > _MAX_FILL_BYTES:
            raise _TooMuchBetween
        at = found
        (marker,) = struct.unpack_from("B", content, at + 1)
        if marker in _WITH_LENGTH:
            (length,) = struct.unpack_from(">H", content, at + 2)
            length = max(2, length)  # Pillow reads the length itself whatever it says
            yield marker, at, length
            if marker == _SOS:
                return
            at += 2 + length
        elif marker in _ALONE:
            yield marker, at, 0
            at += 2
        elif marker == 0xFF:
            at, skipped = at + 1, skipped + 1
        else:
            raise ValueError("no marker")
