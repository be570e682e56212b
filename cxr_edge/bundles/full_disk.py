"""The error of a full disk, with the path that was written and what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def full_disk_explained(path: Path, advice: str) -> Iterator[None]:
    """Have the error of a full disk name the path; the system does not when a write fails.

    Args:
        path: what was being written, or its folder, as the user knows it.
        advice: what to do.

    Raises:
        OSError: that of the block, with path and advice where the disk, or a quota, is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, f"{error.strerror}; {advice}", str(path)) from None
