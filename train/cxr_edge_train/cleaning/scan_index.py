"""Facts of files already read, remembered between runs so that unchanged files are not read again.

An SQLite file in the user's cache folder. Write-ahead logging keeps it whole when a run is killed
and lets two runs share it. It only saves time: whatever is wrong with it, cleaning goes on.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cxr_edge_train.cleaning.reading import READER, FileFacts

# The number in the name is the layout's: another layout is another file.
FILE_NAME = "scan-index-1.sqlite"

_BUSY_S = 30.0
_RETRY_S = 0.02
# All but the header of a DICOM file, which is not remembered.
_FIELDS = FileFacts._fields[:-1]
_COLUMNS = ", ".join(_FIELDS)
_LAYOUT = f"""
CREATE TABLE IF NOT EXISTS facts (
    file TEXT PRIMARY KEY, file_size INTEGER, modified_ns INTEGER, changed_ns INTEGER, reader TEXT,
    {_COLUMNS}
)
"""
_LOOK_UP = f"""
SELECT file, file_size, modified_ns, changed_ns, {_COLUMNS} FROM facts
WHERE reader = '{READER}' AND file IN
"""
_STORE = f"INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, '{READER}'" + ", ?" * len(_FIELDS) + ")"


class Stamp(NamedTuple):
    """What changes whenever a file is replaced or rewritten.

    Attributes:
        file: absolute path.
        size: bytes.
        modified_ns: time of the last write, which tools can set back.
        changed_ns: time of the last change of any kind, which they cannot.
    """

    file: str
    size: int
    modified_ns: int
    changed_ns: int


class ScanIndex:
    """The facts of files by their stamps.

    Attributes:
        failure: why the index is not used, as text for the user; empty while it works.
    """

    def __init__(self, cache_dir: Path) -> None:
        """Open the index in a folder and create both if needed; a damaged index is replaced."""
        self.failure = ""
        self._file = cache_dir / FILE_NAME
        self._connection: sqlite3.Connection | None = None
        with self._tolerated():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = _open(self._file)
            except sqlite3.OperationalError:
                raise  # locked or not writable, but not damaged
            except sqlite3.DatabaseError:
                _remove(self._file)
                self._connection = _open(self._file)

    def look_up(self, stamps: Sequence[Stamp]) -> dict[Stamp, FileFacts]:
        """Look up the facts of those files that are neither new nor changed."""
        rows: list[tuple[Any, ...]] = []
        if self._connection is not None:
            with self._tolerated():
                files = ", ".join("?" * len(stamps))
                rows = self._connection.execute(
                    f"{_LOOK_UP} ({files})", [stamp.file for stamp in stamps]
                ).fetchall()
        width = len(Stamp._fields)
        known = {Stamp(*row[:width]): row[width:] for row in rows}
        return {stamp: FileFacts(*known[stamp]) for stamp in stamps if stamp in known}

    def store(self, facts: Sequence[tuple[Stamp, FileFacts]]) -> None:
        """Store facts in one transaction, except those of DICOM files and of unread ones."""
        if self._connection is None:
            return
        with self._tolerated(), self._connection as transaction:
            transaction.executemany(
                _STORE,
                [
                    (*stamp, *found[:-1])
                    for stamp, found in facts
                    # What a DICOM header says of a patient is kept nowhere.
                    if found.md5 and found.header is None
                ],
            )

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _tolerated(self) -> Iterator[None]:
        """Stop using the index when it fails; one that is damaged is removed for the next run."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.failure = f"{self._file}: {error}; every image is read"
            self.close()
            if not isinstance(error, sqlite3.OperationalError | OSError):
                with contextlib.suppress(OSError):
                    _remove(self._file)


def _open(file: Path) -> sqlite3.Connection:
    # While another run opens or closes the file, SQLite refuses to switch to write-ahead logging
    # at once, whatever the timeout.
    last = time.monotonic() + _BUSY_S
    while True:
        try:
            return _connected(file)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(_RETRY_S)


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # The default waits for the disk at each transaction; a lost one costs only reading again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_LAYOUT)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _remove(file: Path) -> None:
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).unlink(missing_ok=True)
