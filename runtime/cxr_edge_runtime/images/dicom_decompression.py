"""Decompression of DICOM films in a separate process.

gdcm trusts what a frame states: a damaged JPEG frame ends the process that it runs in, and a JPEG
2000 frame of 700 bytes was made that takes 25 seconds and 6 GB. So it runs in a child process with
limits on seconds and memory, which gets the frame and nothing else of the file. The cost is the
start of the child, 0.1 s on a PC.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import (
    ImageTooLarge,
    ImageTooSlow,
    UnreadableImage,
    UnsupportedImage,
    how_to_install,
)
from cxr_edge_runtime.images import dicom_decompressor
from cxr_edge_runtime.images.decoding_limits import MAX_SECONDS

# What the file and the child's data may take together; its programs take 18 MB more. A server that
# holds another film of 80 MB then stays below 460.
_MAX_MEMORY = 274_000_000
# What decompressing was measured to ask for, at most: of JPEG 2000. Noise of 8 bits in 16 million
# samples of 16 makes a frame of 17 MB, and 252 MB are asked for.
_FIXED_BYTES, _BYTES_A_PIXEL, _TIMES_SAMPLES, _TIMES_FRAME = 45_000_000, 4, 3, 3.4


@dataclass(frozen=True, slots=True)
class FrameShape:
    """What the elements say of the frame.

    Attributes:
        rows: pixels from top to bottom.
        columns: pixels from left to right.
        allocated: bits that a sample takes, 8 or 16.
        stored: bits of a sample that mean something.
        signed: whether samples are.
    """

    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool


def decompressed(
    fragments: Sequence[memoryview], syntax: str, shape: FrameShape, *, file_bytes: int, name: str
) -> NDArray[Any]:
    """Decompress a frame.

    Args:
        fragments: its bytes, in parts.
        syntax: the UID of the transfer syntax that it is compressed by.
        shape: its size and the kind of its samples.
        file_bytes: bytes of the file, which this process holds meanwhile.
        name: what error messages call the image.

    Returns:
        ``[H, W] uint8 or uint16``, the samples as they are stored.

    Raises:
        UnreadableImage: the frame is damaged.
        ImageTooLarge: there is not enough memory.
        UnsupportedImage: gdcm is not installed, or this system cannot keep it within limits.
        ImageTooSlow: it took more than
            :data:`cxr_edge_runtime.images.decoding_limits.MAX_SECONDS`.
    """
    if find_spec("resource") is None:  # on Windows, where a crafted frame could take all memory
        raise UnsupportedImage(
            f"{name}: a compressed DICOM file, and this system cannot limit the memory of its "
            "decoder; export it uncompressed"
        )
    frame_bytes, max_memory = sum(map(len, fragments)), _MAX_MEMORY - file_bytes
    numbers = (
        frame_bytes, shape.columns, shape.rows, shape.allocated, shape.stored, int(shape.signed),
        max_memory, int(MAX_SECONDS) + 1,
    )  # fmt: skip
    process = subprocess.Popen(
        # -P: what lies in the current folder is not to be imported.
        [sys.executable, "-P", Path(dicom_decompressor.__file__), syntax, *map(str, numbers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Without buffers: nothing of the frame is held twice, and nothing is left to be written.
        bufsize=0,
        # Of RLE: 32 MB for each core but one, that multiply matrices.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        # Ctrl-C goes to every process of the terminal; the film in progress is finished.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    watch = threading.Timer(MAX_SECONDS, end)
    watch.start()
    try:
        _send(fragments, process.stdin)
        cells = _cells(process.stdout, shape)
        code = process.wait()
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    if late.is_set() or code == -signal.SIGXCPU:
        raise ImageTooSlow(
            f"{name}: decompressing took more than {MAX_SECONDS:g} seconds; export it uncompressed"
        )
    if code == dicom_decompressor.NO_DECODER:
        raise UnsupportedImage(f"{name}: a compressed DICOM file; {how_to_install('dicom')}")
    if code or cells is None:
        # Without memory gdcm fails in as many ways as on damage.
        a_pixel = _BYTES_A_PIXEL + _TIMES_SAMPLES * shape.allocated // 8
        needed = _FIXED_BYTES + a_pixel * shape.rows * shape.columns + _TIMES_FRAME * frame_bytes
        if code == dicom_decompressor.NO_MEMORY or needed > max_memory:
            raise ImageTooLarge(
                f"{name}: not enough memory to decompress its {frame_bytes // 1_000_000} MB for "
                f"{shape.columns}x{shape.rows} pixels; export it uncompressed"
            )
        raise UnreadableImage(
            f"{name}: damaged DICOM file (in its compressed frame); export it uncompressed"
        )
    return cells


def _send(fragments: Sequence[memoryview], child: IO[bytes]) -> None:
    try:
        for part in fragments:
            while part:
                part = part[child.write(part) :]
    except BrokenPipeError:
        pass  # it has ended, and its exit code says why
    child.close()


def _cells(output: IO[bytes], shape: FrameShape) -> NDArray[Any] | None:
    """What the child writes; None if it is not as much as the shape asks for."""
    size = output.read(1)
    if size not in (b"\1", b"\2"):
        return None
    cells = np.empty((shape.rows, shape.columns), f"<u{size[0]}")
    # Straight into the array: as bytes of its own the frame would be held twice.
    room = cells.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < len(room):
        count = output.readinto(room[filled:])  # type: ignore[attr-defined]
        if not count:
            return None
        filled += count
    return None if output.read(1) else cells
