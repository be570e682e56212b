"""The program that decompresses one DICOM frame; :mod:`.dicom_decompression` runs it.

It is run by its path and imports nothing of this package, so that it starts in a tenth of a second
and its memory is for the frame. gdcm is imported nowhere else: some frames end the process.

Its arguments are the UID of the transfer syntax and the numbers of :func:`main`. The frame comes on
standard input. Standard output gets a byte that says how many bytes a sample has, then the samples,
little endian.
"""

import os
import sys
from typing import BinaryIO

NO_MEMORY, NO_DECODER, FAILED = 4, 3, 1
_RLE = "1.2.840.10008.1.2.5"
# Characters that are turned to bytes at once.
_AT_ONCE = 2**20


def main(
    syntax: str,
    n_bytes: int,
    columns: int,
    rows: int,
    allocated: int,
    stored: int,
    signed: int,
    max_memory: int,
    max_seconds: int,
) -> int:
    """Decompress a frame of ``n_bytes`` bytes.

    Args:
        syntax: the UID of the transfer syntax.
        n_bytes: bytes of the frame.
        columns: pixels from left to right.
        rows: pixels from top to bottom.
        allocated: bits that a sample takes, 8 or 16.
        stored: bits of a sample that mean something.
        signed: 1 where samples are signed, else 0.
        max_memory: bytes of memory that may be asked for.
        max_seconds: seconds of the processor.

    Returns:
        The exit code.
    """
    import resource  # which Windows lacks; there no frame is decompressed

    resource.setrlimit(resource.RLIMIT_DATA, (max_memory, max_memory))
    resource.setrlimit(resource.RLIMIT_CPU, (max_seconds, max_seconds))
    # No file of memory is worth writing after a crash.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What libraries print must not become samples.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if syntax == _RLE:
        code = _decode_rle(n_bytes, (columns, rows), allocated, out)
    else:
        try:
            code = _decode(syntax, n_bytes, (columns, rows), (allocated, stored, signed), out)
        except ImportError:
            return NO_DECODER
    out.flush()
    return code


def _decode(
    syntax: str, n_bytes: int, size: tuple[int, int], sample: tuple[int, int, int], out: BinaryIO
) -> int:
    """Decode with gdcm: ``size`` is columns and rows, ``sample`` as the arguments of main."""
    import gdcm  # type: ignore[import-untyped,unused-ignore]

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(sys.stdin.buffer.read(n_bytes))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((*size, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    kind = gdcm.TransferSyntax.GetTSType(syntax)
    image.SetTransferSyntax(gdcm.TransferSyntax(kind))
    allocated, stored, signed = sample
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, stored, stored - 1, signed))
    text = image.GetBuffer()
    n_samples, length = size[0] * size[1], image.GetBufferLength()
    if length not in (n_samples, 2 * n_samples):
        return FAILED
    out.write(bytes([length // n_samples]))
    # Bytes come as text, those that are not text as surrogates. Turned back as a whole they would
    # take three times as much memory.
    for start in range(0, len(text), _AT_ONCE):
        out.write(text[start : start + _AT_ONCE].encode("utf-8", "surrogateescape"))
    return 0


def _decode_rle(n_bytes: int, size: tuple[int, int], allocated: int, out: BinaryIO) -> int:
    """Decode run lengths with pydicom: gdcm takes what is missing of a damaged frame for black."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    samples, _ = get_decoder(_RLE).as_buffer(
        encapsulate([sys.stdin.buffer.read(n_bytes)]), index=0, raw=True, rows=size[1],
        columns=size[0], number_of_frames=1, samples_per_pixel=1, bits_allocated=allocated,
        bits_stored=allocated, pixel_representation=0, photometric_interpretation="MONOCHROME2",
        pixel_keyword="PixelData",
    )  # fmt: skip
    out.write(bytes([allocated // 8]))
    out.write(samples)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
    except MemoryError:
        sys.exit(NO_MEMORY)
