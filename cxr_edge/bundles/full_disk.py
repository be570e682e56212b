"""A full disk, told with its place and with what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def full_disk_told(place: Path, advice: str) -> Iterator[None]:
    """Have the error of a full disk say where; the system does not when it meets a write.

    Args:
        place: what was being written, or its folder, as the user knows it.
        advice: what to do.

    Raises:
        OSError: that of the block, in these words where the disk, or a quota, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, f"{error.strerror}; {advice}", str(place)) from None
