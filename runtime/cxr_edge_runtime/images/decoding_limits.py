"""What decoding one image may cost, at most: pixels, bytes, seconds, memory.

The limits are for the weakest device, a Raspberry Pi Zero 2 W with 512 MB, which is 10 to 20 times
slower than the machine that the figures below were measured on.
"""

import contextlib
import io
import threading
import time
from collections.abc import Iterator

from cxr_edge_runtime.errors import (
    ImageError,
    ImageTooLarge,
    ImageTooSlow,
    ImageTooSmall,
    UnreadableImage,
)

# The largest flat-panel chest detectors have about 4300 x 4300 pixels; half as much again is room
# enough. A process that decodes 30 million pixels was measured to peak at 119 MiB for grey, 179 for
# 16 bits, 205 for RGB and 230 for RGBA, within a 512 MB device.
MAX_PIXELS = 30_000_000
# WebP's decoder keeps 17 bytes a pixel: 529 MiB were measured for 30 million, 198 for 10.
MAX_WEBP_PIXELS = 10_000_000
# 30 million 16-bit pixels without compression, and some room for headers.
MAX_BYTES = 80_000_000
# Below this the ribs themselves can no longer be told apart.
MIN_SIDE = 64

# Seconds of one core. The slowest film of 30 million pixels, a progressive RGB JPEG of quality 95,
# took 0.8 here, so up to 16 on a Pi Zero 2 W; four times that is for slower ones still.
MAX_SECONDS = 60.0
# Bytes that a decoder may hold besides the process: the file, the pixels as Pillow keeps them, and
# what :func:`check_memory` is told of more. With the 62 MB that it has before, `cxr-edge classify`
# was measured to stay below 300 MB; a server has 78, and may hold 160 of films that wait.
MAX_MEMORY = 220_000_000
# Bytes a pixel of Pillow's modes; 4 of all others.
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
# How often the whole file may be read: Pillow reads headers twice and data once.
_MAX_PASSES = 2
_ROOM_BYTES = 1_000_000
# Asking the clock takes a microsecond, which small reads would feel.
_SMALL_BYTES, _READS_BETWEEN = 1024, 256

# Scans of a JPEG, and pixels that they visit: progressive JPEGs have about ten scans, each visits
# every pixel, 11 to 25 ms for 30 million, and may be ten bytes, so that a file within the limit on
# bytes would keep libjpeg busy for a day, thousands of scans between two reads. libtiff has the
# same limit on scans.
_MAX_SCANS, _MAX_SCANNED = 100, 1_000_000_000

# Beyond it no other image is decoded at once; see :func:`exclusive_if_large`.
LARGE_PIXELS = 10_000_000
LARGE_BYTES = 20_000_000
_large = threading.RLock()


class MeteredBytes(io.BytesIO):
    """The bytes of a file, for a decoder to read as long as its budget lasts.

    Time is that of the calling thread, not of the clock, so that no film fails because other
    programs are busy; it starts when the object is made. Only decoders that read piece by piece are
    stopped: not libtiff, WebP's and gdcm, which take a file whole and return when they are done.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        *,
        max_reads: int = 2 * MAX_BYTES,
        max_bytes: int | None = None,
        excess: ImageError | None = None,
    ) -> None:
        """Start the clock.

        Args:
            content: the bytes.
            name: what error messages call the image.
            max_reads: how often the decoder may ask, where each time costs memory.
            max_bytes: how much it may read; by default the whole file twice, and some more.
            excess: what is raised beyond either; by default that the image is damaged.
        """
        super().__init__(content)
        self._name, self._size = name, len(content)
        self._excess = excess or UnreadableImage(
            f"{name}: damaged image (overlapping or too many parts)"
        )
        self._end = time.thread_time() + MAX_SECONDS
        self._bytes_left = max_bytes or _MAX_PASSES * len(content) + _ROOM_BYTES
        self._reads_left = max_reads

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file.

        Raises:
            ImageTooSlow: :data:`MAX_SECONDS` are over.
            ImageError: ``excess``: the decoder reads more, or more often, than it may.
        """
        # Before they are copied: a hundred megabytes in one piece are too many by themselves.
        left = max(0, self._size - self.tell())
        n_bytes = left if size is None or size < 0 else min(size, left)
        self._bytes_left -= n_bytes
        self._reads_left -= 1
        if n_bytes >= _SMALL_BYTES or self._reads_left % _READS_BETWEEN == 0:
            self._ask_clock()
        if self._bytes_left < 0 or self._reads_left < 0:
            raise self._excess
        return super().read(size)

    def _ask_clock(self) -> None:
        if time.thread_time() > self._end:
            raise ImageTooSlow(
                f"{self._name}: decoding took more than {MAX_SECONDS:g} seconds; "
                "export it as PNG or baseline JPEG"
            )


def check_bytes(content: bytes, name: str) -> None:
    """Refuse what was read of a file, up to a byte more than the limit, before it is decoded.

    Raises:
        ImageTooLarge: more than :data:`MAX_BYTES` bytes.
        UnreadableImage: none.
    """
    if len(content) > MAX_BYTES:
        raise ImageTooLarge(f"{name}: more than {MAX_BYTES // 1_000_000} MB; export a smaller copy")
    if not content:
        raise UnreadableImage(f"{name}: the file is empty")


def check_size(size: tuple[int, int], name: str, *, max_pixels: int = MAX_PIXELS) -> None:
    """Refuse a width and height, before anything is decoded.

    Raises:
        ImageTooLarge: more than ``max_pixels`` pixels.
        ImageTooSmall: a side shorter than :data:`MIN_SIDE` pixels.
    """
    width, height = size
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{name}: {width}x{height} pixels, the limit is {max_pixels // 1_000_000} million; "
            "export a smaller copy"
        )
    if min(width, height) < MIN_SIDE:
        raise ImageTooSmall(f"{name}: {width}x{height} pixels, each side needs at least {MIN_SIDE}")


def check_memory(size: tuple[int, int], mode: str, name: str, *, further: int) -> None:
    """Refuse an image whose decoding would take more memory than there may be, before it does.

    Args:
        size: width and height.
        mode: Pillow's mode.
        name: what error messages call the image.
        further: bytes that are held besides the pixels, of the file and by the decoder.

    Raises:
        ImageTooLarge: more than :data:`MAX_MEMORY` bytes.
    """
    width, height = size
    needed = width * height * _PIXEL_BYTES.get(mode, 4) + further
    if needed > MAX_MEMORY:
        raise ImageTooLarge(
            f"{name}: {width}x{height} pixels stored in this way take {needed // 1_000_000} MB to "
            f"decode, the limit is {MAX_MEMORY // 1_000_000} MB; export it as a grey PNG or "
            "baseline JPEG without metadata, or a smaller copy"
        )


def max_scans(pixels: int) -> int:
    """How many scans a JPEG may have."""
    return min(_MAX_SCANS, _MAX_SCANNED // max(pixels, 1))


def too_large_for_memory(name: str) -> ImageTooLarge:
    """The error of an image within all limits that this device has no memory for."""
    return ImageTooLarge(
        f"{name}: not enough memory on this device to decode it; export a smaller copy"
    )


@contextlib.contextmanager
def exclusive_if_large(*, pixels: int = 0, n_bytes: int = 0) -> Iterator[None]:
    """Hold a lock that only one thread can have while an image is large; small ones need none.

    Several of 30 million pixels at once would not fit into 512 MB.

    Args:
        pixels: of the image, where its size is known.
        n_bytes: of its file.
    """
    if pixels > LARGE_PIXELS or n_bytes > LARGE_BYTES:
        with _large:
            yield
    else:
        yield
