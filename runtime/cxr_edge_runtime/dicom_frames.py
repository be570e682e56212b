"""The compressed frame of a DICOM file, bounded before a native decoder believes its own header.

gdcm takes sizes from the frame, not from the DICOM elements, and runs to its end once it is called:
a JPEG 2000 frame of 700 bytes was made that takes 25 seconds and 6 GB. Each rule below names what
makes decoding cost more than the pixels do.
"""

import struct

from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000TransferSyntaxes, RLELossless

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.jpeg_header import check_jpeg, is_jpeg, jpeg_size
from cxr_edge_runtime.limits import MeteredBytes

# A frame in pieces of 4 KB, each read in a few steps, is far below it.
_MAX_READS = 200_000
# JPEG 2000 (ITU-T T.800, annex A): start and size, coding style, tile parts, end.
_CODESTREAM = b"\xff\x4f\xff\x51"
_COD, _COC, _SOT, _SOD, _EOC = 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
# Of 25 million pixels, blocks of 4x4 took 927 MB to decode and blocks of 32x32 took 311.
_MIN_BLOCK = 5
_MAX_TILES, _MAX_LAYERS = 1024, 100


def check_frame(pixel_data: bytes, syntax: str, size: tuple[int, int], name: str) -> None:
    """Check what the one frame of a compressed film says of itself.

    Args:
        pixel_data: value of the element, encapsulated.
        syntax: UID of the transfer syntax.
        size: width and height by the DICOM elements, pixels.
        name: what error messages call the image.

    Raises:
        UnreadableImage: the frame is of another size or kind, or unpacks to more than its pixels.
        UnsupportedImage: the frame is laid out so that decoding would cost far too much.
        struct.error, ValueError: the frame is damaged.
    """
    source = MeteredBytes(pixel_data, name, max_reads=_MAX_READS)
    frame = get_frame(source, 0, number_of_frames=1)
    if syntax == RLELossless:
        fits = _rle_fits(frame, size[0] * size[1])
    elif syntax in JPEG2000TransferSyntaxes:
        fits = frame.startswith(_CODESTREAM) and _jpeg2000_size(frame) == size
        if fits and not _is_plain_jpeg2000(frame):
            raise UnsupportedImage(
                f"{name}: a JPEG 2000 frame of very small pieces; export it uncompressed or as JPEG"
            )
    else:
        fits = is_jpeg(frame) and jpeg_size(frame) == (*size, 1)
        check_jpeg(frame, name)
    if not fits:
        raise UnreadableImage(f"{name}: damaged DICOM file (its frame is not what it should be)")


def _jpeg2000_size(frame: bytes) -> tuple[int, int] | None:
    """Width and height of a codestream of one channel that starts at 0, 0, in not many tiles."""
    width, height, left, top, tile_width, tile_height = struct.unpack_from(">6I", frame, 8)
    (channels,) = struct.unpack_from(">H", frame, 40)
    tiles = -(-width // tile_width) * -(-height // tile_height) if tile_width and tile_height else 0
    fits = channels == 1 and left == top == 0 and 0 < tiles <= _MAX_TILES
    return (width, height) if fits else None


def _is_plain_jpeg2000(frame: bytes) -> bool:
    """Whether no coding style, of the film or of a tile, asks for very small pieces."""
    at, tile_end = 2, len(frame)
    while at + 4 <= len(frame):
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == _EOC:
            break
        if marker == _SOD:
            if tile_end <= at:
                return False
            at = tile_end
            continue
        if marker == _SOT:
            (n_bytes,) = struct.unpack_from(">I", frame, at + 6)
            tile_end = at + n_bytes if n_bytes else len(frame)
        elif marker == _COD:
            style, _, layers = struct.unpack_from(">BBH", frame, at + 4)
            if layers > _MAX_LAYERS or not _is_plain_style(frame, style, at + 9):
                return False
        elif marker == _COC and not _is_plain_style(frame, frame[at + 5], at + 6):
            return False
        at += 2 + length
    return True


def _is_plain_style(frame: bytes, style: int, at: int) -> bool:
    levels, width, height = frame[at : at + 3]
    sides = [width + 2, height + 2]
    if style & 1:  # the precincts' sizes follow
        for precinct in frame[at + 5 : at + 6 + levels]:
            sides += [precinct & 15, precinct >> 4]
    return min(sides) >= _MIN_BLOCK


def _rle_fits(frame: bytes, pixels: int) -> bool:
    """Whether each segment unpacks to the pixels, and one byte more to make them even."""
    count, *offsets = struct.unpack_from("<16I", frame)
    starts = offsets[:count]
    return all(
        _unpacked_bytes(frame[start:end], pixels + 1) <= pixels + 1
        for start, end in zip(starts, [*starts[1:], len(frame)])
    )


def _unpacked_bytes(segment: bytes, limit: int) -> int:
    """What packed bits (PS3.5, annex G) unpack to, counted up to a little over ``limit``."""
    # No output needs more than two bytes of input; what does only costs time.
    if len(segment) > 2 * limit:
        return limit + 1
    total = at = 0
    while at < len(segment) and total <= limit:
        header = segment[at]
        if header < 128:
            total += header + 1
            at += header + 2
        else:
            total += 257 - header if header > 128 else 0
            at += 2 if header > 128 else 1
    return total
