"""The program that decompresses one DICOM frame; :mod:`.dicom_decompression` runs it.

It is run by its path and imports nothing of this package, so that it starts in a tenth of a second
and its memory is for the frame. gdcm is imported nowhere else: some frames end the process.

Its arguments are the UID of the transfer syntax and the numbers of :func:`main`. The frame comes on
standard input. Standard output gets a byte that says how many bytes a sample has, then the samples,
little endian.
"""

import os
import resource
import struct
import sys
from typing import BinaryIO

NO_DECODER, FAILED = 3, 1
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
    resource.setrlimit(resource.RLIMIT_DATA, (max_memory, max_memory))
    resource.setrlimit(resource.RLIMIT_CPU, (max_seconds, max_seconds))
    # No file of memory is worth writing after a crash.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What libraries print must not become samples.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if syntax == _RLE:
        code = _decode_rle(n_bytes, columns * rows, allocated // 8, out)
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
    # Bytes come as text, those that are no text as surrogates. Turned back as a whole they would
    # take three times as much memory.
    for start in range(0, len(text), _AT_ONCE):
        out.write(text[start : start + _AT_ONCE].encode("utf-8", "surrogateescape"))
    return 0


def _decode_rle(n_bytes: int, n_samples: int, sample_bytes: int, out: BinaryIO) -> int:
    """Decode what PS3.5, annex G calls RLE; of 16 bits the upper bytes come first."""
    frame = sys.stdin.buffer.read(n_bytes)
    n_parts, *starts = struct.unpack_from("<16I", frame)
    if n_parts != sample_bytes:
        return FAILED
    samples = bytearray(n_samples * sample_bytes)
    ends = [*starts[1:n_parts], n_bytes]
    for part, (start, end) in enumerate(zip(starts, ends, strict=False)):
        decoded, ended = _without_runs(frame, start, n_samples)
        if ended > end:
            return FAILED
        samples[sample_bytes - 1 - part :: sample_bytes] = decoded
    out.write(bytes([sample_bytes]))
    out.write(samples)
    return 0


def _without_runs(frame: bytes, at: int, length: int) -> tuple[bytearray, int]:
    """PackBits from a position on, and where they end; what is too much is left out.

    Raises:
        IndexError: the frame ends before.
    """
    decoded = bytearray()
    while len(decoded) < length:
        count = frame[at]
        if count < 128:
            at += count + 2
            decoded += frame[at - count - 1 : at]
        else:
            if count > 128:
                decoded += frame[at + 1 : at + 2] * (257 - count)
                at += 1
            at += 1
    del decoded[length:]
    return decoded, at


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
