"""Where results may be written: nothing is replaced that cxr-edge did not write itself.

An output is checked before any work is done. It may be missing, empty, or what an earlier call
wrote, which is recognised by how its file begins or by a file in its folder. Links, devices and
everything else are refused. Standard output is written to, where that makes sense.
"""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest

# Says whether cxr-edge wrote what is there.
Recogniser = Callable[[Path], bool]

_LONGEST_LINE = 4096
_STDOUT = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
# A full disk is no mistake in what was asked for; whoever writes says so.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def begins_with(beginning: bytes) -> Recogniser:
    """A recogniser of files by their first bytes."""

    def recognises(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(len(beginning)) == beginning

    return recognises


def has_first_line(*lines: str) -> Recogniser:
    """A recogniser of text files by their whole first line, which may be one of several."""
    wanted = {line.encode() for line in lines}

    def recognises(path: Path) -> bool:
        with path.open("rb") as file:
            return file.readline(_LONGEST_LINE).rstrip(b"\r\n") in wanted

    return recognises


def is_stdout(path: Path | None) -> bool:
    """Whether a path names this process's standard output, as ``/dev/stdout`` does."""
    return path is not None and os.path.abspath(path) in _STDOUT  # noqa: PTH100  # links stay


def check_file(path: Path, kind: str, *, ours: Recogniser, stdout: bool = False) -> None:
    """Check that a file may be written, and make nothing.

    Args:
        path: the file.
        kind: what is to be written, such as ``a splits.csv of cxr-edge``.
        ours: recognises a file of this kind, which may be replaced.
        stdout: whether it can go to standard output, too.

    Raises:
        InvalidRequest: there is something else, or the file cannot be written there.
    """
    if is_stdout(path):
        if stdout:
            return
        raise InvalidRequest(f"{path}: {kind} cannot be written to standard output; name a file")
    mode = _mode(path)
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise InvalidRequest(f"{path}: is a folder; name the file to write")
        if not stat.S_ISREG(mode):
            raise InvalidRequest(f"{path}: is {_named(mode)}; choose another output")
        if path.lstat().st_size and not _recognised(path, ours):
            raise InvalidRequest(f"{path}: already exists and is not {kind}; choose another output")
    _check_writable(path, path.absolute().parent)


def check_folder(path: Path, kind: str, *, ours: Recogniser, anew: bool = False) -> None:
    """Check that a folder may be written into, and make nothing.

    Args:
        path: the folder.
        kind: what it is to hold, such as ``a comparison``.
        ours: recognises a folder of this kind, whose files may be replaced.
        anew: the folder is replaced as a whole, so hidden files in it count, too.

    Raises:
        InvalidRequest: there is something else, or the folder cannot be made or written.
    """
    place = _real(path)
    if anew and (place == Path.cwd() or place in Path.cwd().parents):
        raise InvalidRequest(f"{path}: contains the current folder; choose another output")
    mode = _mode(path)
    if mode is None:
        _check_writable(path, path.absolute().parent)
        return
    if not stat.S_ISDIR(mode):
        raise InvalidRequest(f"{path}: is {_named(mode)}, not a folder; choose another output")
    stranger = _first_in(path, hidden=anew)
    if stranger and not _recognised(path, ours):
        raise InvalidRequest(
            f"{path}: already exists and is not {kind}, since it contains {stranger}; choose "
            "another output"
        )
    _check_writable(path, path.absolute().parent if anew else path.absolute())


def check_apart(path: Path, *sources: Path) -> None:
    """Check that an output is not what is read, nor in it.

    Raises:
        InvalidRequest: it is one of the sources, or lies in one of them.
    """
    place = _real(path)
    for source in sources:
        if source.exists() and place.is_relative_to(_real(source)):
            raise InvalidRequest(
                f"{path}: is or lies in {source}, which is an input; choose another output"
            )


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve() raises where links go in a circle


def _mode(path: Path) -> int | None:
    """The kind of file that a path is, links not followed; None where there is nothing."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:  # below a file, a name that is too long, no permission
        raise InvalidRequest(f"{path}: {error.strerror}; choose another output") from None


def _named(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a file" if stat.S_ISREG(mode) else "a device, pipe or socket"


def _recognised(path: Path, ours: Recogniser) -> bool:
    try:
        return ours(path)
    except OSError:  # what cannot be read is not known
        return False


def _first_in(folder: Path, *, hidden: bool) -> str:
    """The first name in a folder; empty where there is none."""
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names, not paths
    except OSError as error:
        raise InvalidRequest(f"{folder}: {error.strerror}; choose another output") from None
    return min((name for name in names if hidden or not name.startswith(".")), default="")


def _check_writable(path: Path, folder: Path) -> None:
    """Try to write into a folder, or where it would be made; nothing is left there."""
    import tempfile  # 5 ms that most classifications should not wait for

    place = next(above for above in (folder, *folder.parents) if os.path.lexists(above))
    try:
        tempfile.TemporaryFile(dir=place, prefix=".cxr-edge-").close()
    except OSError as error:
        if error.errno not in _FULL:
            raise InvalidRequest(
                f"{path}: cannot be written ({place}: {error.strerror}); choose another output"
            ) from None
