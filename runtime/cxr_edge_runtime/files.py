"""Files that are either whole or not there."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest

# A dot, the stem, a dash, eight characters of tempfile's, the suffix.
_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}(\.[^.]*)?")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises, the temporary file is removed and ``path`` is as it was. A link is
    followed.

    Raises:
        OSError: the folder cannot be made or written.
        InvalidRequest: ``path`` is a folder, a device or a pipe, which a rename would destroy.
    """
    if path.exists() and not path.is_file():
        raise InvalidRequest(f"{path}: is not a regular file; choose another output")
    path = Path(os.path.realpath(path))
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
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path, *, older_than_s: float = 0.0) -> None:
    """Remove what :func:`replacing` left in a folder when its process was killed.

    Args:
        folder: may be missing.
        older_than_s: seconds since the last write; others may be at work in a shared folder.
    """
    newest = time.time() - older_than_s
    for path in folder.glob(".*"):
        if not _TEMPORARY.fullmatch(path.name):
            continue
        with suppress(FileNotFoundError):  # in a shared folder others rename and remove theirs
            if path.is_file() and path.stat().st_mtime <= newest:
                path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; see :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically, with newlines as given; see :func:`replacing`."""
    write_bytes(path, text.encode())


def as_path(value: str | Path, name: str) -> Path:
    """Check an argument of the Python API that must be a path.

    Args:
        value: what the user gave.
        name: of the argument, for the message.

    Raises:
        InvalidRequest: the value is neither text nor a path, or contains a NUL character.
    """
    if not isinstance(value, str | Path):
        raise InvalidRequest(f"{name} must be a path (str or pathlib.Path), not {value!r}")
    if "\0" in str(value):
        raise InvalidRequest(f"{name} contains a NUL character: {str(value)!r}")
    return Path(value)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; memory is that of a block, however large the file is.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    # The only portable way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
