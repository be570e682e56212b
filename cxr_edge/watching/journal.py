"""What has been answered, so that a file is answered once whenever the program is killed.

::

    DIR/
    ├── answers.jsonl    a line of ``classify --json`` for each file
    ├── pending.json     the file whose line is being written and that is then moved; usually absent
    ├── done/ …          files with an answer, named as in the watched folder
    └── failed/ …        files without one, such as those that are not images
"""

import contextlib
import errno
import fcntl
import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import replacing, write_text

ANSWERS, DONE, FAILED = "answers.jsonl", "done", "failed"
_PENDING, _LOCK = "pending.json", "watch.lock"
_LONGEST_NAME = 255


# Size in bytes and time in nanoseconds.
Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Pending:
    """The file under way.

    Attributes:
        source: where it lies.
        target: where it goes.
        size: of the file, bytes.
        modified_ns: its time.
        offset: the bytes of ``answers.jsonl`` before its line.
    """

    source: str
    target: str
    size: int
    modified_ns: int
    offset: int


class Journal:
    """The folder of answers; one process at a time owns it."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, make it where it is missing, and finish what a kill interrupted.

        Raises:
            InvalidRequest: another process watches into it, or what a kill left is damaged.
            OSError: it cannot be written.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / _LOCK).open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InvalidRequest(f"{folder}: another cxr-edge watch is writing there") from None
        try:
            self._recover()
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Let another process own the folder."""
        self._lock.close()

    def record(self, source: Path, stamp: Stamp, name: str, line: str, *, failed: bool) -> Path:
        """Write the line of a file and move the file away.

        Killed anywhere within, the next start does what is left: there is one line, and the file
        lies in one place.

        Args:
            source: the file.
            stamp: its size and time when it was read; a file that came since stays where it is.
            name: its POSIX path relative to the watched folder.
            line: what is said of it, without the end of the line.
            failed: whether it has no answer.

        Returns:
            Where the file lies now.

        Raises:
            OSError: the disk is full, or the file cannot be moved.
        """
        target = _free(self._folder / (FAILED if failed else DONE), name)
        answers = self._folder / ANSWERS
        offset = answers.stat().st_size if answers.exists() else 0
        pending = _Pending(
            str(source.absolute()),
            str(target.absolute()),
            *stamp,
            offset,
        )
        write_text(self._folder / _PENDING, json.dumps(asdict(pending)))
        _append(answers, line.encode() + b"\n")
        self._move(pending)
        return target

    def _recover(self) -> None:
        try:
            pending = _Pending(**json.loads((self._folder / _PENDING).read_bytes()))
        except FileNotFoundError:
            return
        except (ValueError, TypeError):
            raise InvalidRequest(
                f"{self._folder / _PENDING}: damaged; remove it (a file that has a line in "
                f"{ANSWERS} may then get a second one)"
            ) from None
        answers = self._folder / ANSWERS
        with contextlib.suppress(FileNotFoundError), answers.open("r+b") as file:
            if file.seek(0, os.SEEK_END) < pending.offset:  # lines were removed from it
                (self._folder / _PENDING).unlink()
                return
            file.seek(pending.offset)
            if not file.read().endswith(b"\n"):
                # The line is not whole, so the file will be answered again.
                file.truncate(pending.offset)
                (self._folder / _PENDING).unlink()
                return
            self._move(pending)
            return
        (self._folder / _PENDING).unlink()

    def _move(self, pending: _Pending) -> None:
        source, target = Path(pending.source), Path(pending.target)
        with contextlib.suppress(FileNotFoundError):
            # Another file of the name that came since is answered for itself.
            if stamp_of(source.stat()) == (pending.size, pending.modified_ns):
                target.parent.mkdir(parents=True, exist_ok=True)
                _move(source, target)
        (self._folder / _PENDING).unlink()


def _append(file: Path, line: bytes) -> None:
    with file.open("ab") as answers:
        answers.write(line)
        answers.flush()
        os.fsync(answers.fileno())


def stamp_of(status: os.stat_result) -> Stamp:
    """Size and time of a file."""
    return status.st_size, status.st_mtime_ns


def _move(source: Path, target: Path) -> None:
    if target.exists() and target.stat().st_dev == source.stat().st_dev:
        return  # it was moved before a kill, and what lies here came since
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # the folders lie on different disks
            raise
        with replacing(target) as temporary:
            shutil.copy2(source, temporary)
        source.unlink()


def _free(folder: Path, name: str) -> Path:
    """Where a file of this name goes; it, or a folder of it, gets a number where that is taken."""
    *folders, last = name.split("/")
    for part in folders:
        places = _candidates(folder / part)
        folder = next(path for path in places if path.is_dir() or not os.path.lexists(path))
    return next(path for path in _candidates(folder / last) if not os.path.lexists(path))


def _candidates(wanted: Path) -> Iterator[Path]:
    yield wanted
    for number in itertools.count(1):
        end = f"-{number}{wanted.suffix}"
        # As long as a file system takes, in bytes, and no half of a letter.
        room = _LONGEST_NAME - len(os.fsencode(end))
        stem = os.fsencode(wanted.stem)[: max(room, 1)].decode(errors="ignore")
        yield wanted.with_name(f"{stem}{end}")
