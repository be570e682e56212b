"""Writing files so that they are either complete or absent."""

import errno
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files.outputs import is_stdout

# A full disk, a quota, and a file larger than the system lets it become.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# A dot, the stem, a dash, eight characters of tempfile's, the suffix.
_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.[^.]*)?")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, and rename it to ``path`` when the block succeeds.

    When the block raises, the temporary file is removed and ``path`` is unchanged. Whether what is
    there may be replaced was checked before: see :mod:`cxr_edge_runtime.files.outputs`.

    Raises:
        OSError: the folder cannot be created or written to.
        InvalidRequest: ``path`` is a link, a folder, a device or a pipe.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InvalidRequest(f"{path}: is not a regular file; choose another output")
    import tempfile  # 5 ms that reading a bundle should not wait for

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays: Keras and Pillow choose the format by it.
        descriptor, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix
        )
    except OSError as error:  # names a file that nobody asked for
        raise OSError(error.errno, error.strerror, str(path)) from None
    os.close(descriptor)
    temporary = Path(name)
    try:
        with full_disk_named(path):
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Have the error of a full disk name what was being written; the system names nothing.

    Args:
        path: all that is written within the block, as the user knows it.

    Raises:
        OSError: that of the block, with the path where there was no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def remove_temporaries(folder: Path, *, older_than_s: float = 0.0) -> None:
    """Remove the temporary files of processes that were killed within :func:`replacing`.

    Args:
        folder: where to look; it may be missing.
        older_than_s: only files whose last write is at least so many seconds ago, since other
            processes may be writing into a shared folder.
    """
    newest = time.time() - older_than_s
    for path in folder.glob(".*"):
        if not _TEMPORARY.fullmatch(path.name):
            continue
        with suppress(FileNotFoundError):  # in a shared folder others rename and remove theirs
            if path.is_file() and path.stat().st_mtime <= newest:
                path.unlink(missing_ok=True)


def left_temporaries(path: Path) -> list[Path]:
    """What processes that write a file, or were killed while they did, have written of it so far.

    Args:
        path: the file as given to :func:`replacing`.
    """
    name = re.compile(rf"\.{re.escape(path.stem)}-[a-z0-9_]{{8}}{re.escape(path.suffix)}")
    return sorted(file for file in path.parent.glob(".*") if name.fullmatch(file.name))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; see :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically, line endings as given; see :func:`replacing`."""
    write_bytes(path, text.encode())


@contextmanager
def text_output(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file that is there, in whole, only when the block has ended well.

    Standard output is written to as it comes, see
    :func:`cxr_edge_runtime.files.outputs.is_stdout`.

    Raises:
        OSError: the file cannot be written.
        InvalidRequest: see :func:`replacing`.
    """
    if is_stdout(path):
        # A copy of the descriptor: to open the path anew would begin at the start of a file that
        # the shell redirected to, and to close the descriptor itself would end standard output.
        with (
            full_disk_named(path),
            os.fdopen(os.dup(1), "w", encoding="utf-8", newline="") as file,
        ):
            yield file
        return
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, reading it in blocks.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    # The only portable way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
