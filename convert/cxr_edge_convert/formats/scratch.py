"""Folders for what other packages want to write before it is read again."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# With so little left a package that failed did so for lack of room. Bytes.
_HARDLY_ANY = 2**20


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed at the end, where the system has its temporary files.

    Raises:
        OSError: something failed and the disk is full, which other packages report in many ways.
    """
    with tempfile.TemporaryDirectory(prefix="cxr-edge-") as folder:
        try:
            yield Path(folder)
        except Exception as error:
            if shutil.disk_usage(folder).free >= _HARDLY_ANY:
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder) from error
