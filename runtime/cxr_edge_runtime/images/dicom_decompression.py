"""Decompression of DICOM films in a separate process.

gdcm trusts what a frame states: a damaged JPEG frame ends the process that it runs in, and a JPEG
2000 frame of 700 bytes was made that takes 25 seconds and 6 GB. So it runs in a child process with
limits on seconds and memory. The cost is the start of the child, 0.3 s on a PC.

As a program, ``python -m cxr_edge_runtime.images.dicom_decompression`` turns a DICOM file on
standard input into numpy's format on standard output.
"""

import io
import os
import resource
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageTooSlow, UnreadableImage, UnsupportedImage, how_to_install
from cxr_edge_runtime.images.decoding_limits import MAX_SECONDS

# A child that decodes 30 million 16-bit samples was measured to take 370 MB; a device of 512 MB
# cannot give much more.
_MAX_MEMORY = 480 * 2**20
_NO_DECODER = 3


def decompressed(content: bytes, name: str) -> NDArray[Any]:
    """Decompress the frame of a DICOM file.

    Args:
        content: the bytes of the DICOM file.
        name: what error messages call the image.

    Returns:
        ``[H, W]``, the samples as they are stored.

    Raises:
        UnreadableImage: the frame is damaged, or takes more memory than any film should.
        UnsupportedImage: no decoder for this compression is installed.
        ImageTooSlow: it took more than
            :data:`cxr_edge_runtime.images.decoding_limits.MAX_SECONDS`.
    """
    try:
        done = subprocess.run(
            # -P: what lies in the current folder is not to be imported.
            [sys.executable, "-P", "-m", __name__],
            input=content,
            capture_output=True,
            timeout=MAX_SECONDS,
            # Ctrl-C goes to every process of the terminal; the film under way is finished.
            start_new_session=True,
            # Threads that numpy would start count as memory.
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise ImageTooSlow(
            f"{name}: decompressing took more than {MAX_SECONDS:g} seconds; export it uncompressed"
        ) from None
    if done.returncode == _NO_DECODER:
        raise UnsupportedImage(f"{name}: a compressed DICOM file; run: {how_to_install('dicom')}")
    if done.returncode:
        raise UnreadableImage(f"{name}: damaged DICOM file (its compressed frame)")
    samples: NDArray[Any] = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return samples


def _main() -> int:
    import pydicom

    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY, _MAX_MEMORY))
    # No file of memory is worth writing after a crash.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    dataset = pydicom.dcmread(io.BytesIO(sys.stdin.buffer.read()))
    try:
        samples = dataset.pixel_array
    except RuntimeError:
        # pydicom says so of a missing decoder and of one that failed alike.
        return 1 if find_spec("gdcm") else _NO_DECODER
    # Not np.save: it asks a file for its position, and a pipe has none.
    samples = np.ascontiguousarray(samples)
    header = np.lib.format.header_data_from_array_1_0(samples)
    np.lib.format.write_array_header_1_0(sys.stdout.buffer, header)
    sys.stdout.buffer.write(samples.data)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
