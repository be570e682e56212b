"""Which films are left to do: exact, and on disk, so that ten million take no memory."""

import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from cxr_edge.writers.csv_file import name_in_row
from cxr_edge_runtime.errors import CxrEdgeError

# Pages kept in memory, KiB.
_CACHE_KIB = 64_000
# A file of results for each so many films: ten million are 10,000 files, and a worker that dies
# takes some seconds of work with it.
_MOST_FILMS = 1000
# Batches a worker, at least, so that none is idle for long while another one ends.
_BATCHES = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """Films that one worker scores and writes as one file.

    Attributes:
        first: number of the first film in the backlog.
        last: of the last one.
        packed: their names, compressed: those of ten million would fill Ray's object store.
    """

    first: int
    last: int
    packed: bytes

    @property
    def names(self) -> list[str]:
        """The films."""
        return [os.fsdecode(name) for name in zlib.decompress(self.packed).split(b"\0")]


class Backlog:
    """Films in the order they were added, each once, in a database that goes with the process."""

    def __init__(self) -> None:
        """Begin with none; :meth:`opened` also ends and says what is wrong with the disk."""
        # Without a name SQLite makes a file in the temporary folder and deletes it at once.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            f"PRAGMA cache_size = -{_CACHE_KIB};"
            "CREATE TABLE seen (name TEXT PRIMARY KEY) WITHOUT ROWID;"
            "CREATE TABLE missing (number INTEGER PRIMARY KEY, name BLOB NOT NULL);"
            # Never ended: each end of a transaction would write what has changed.
            "BEGIN"
        )

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator["Backlog"]:
        """A backlog for the length of a block.

        Raises:
            CxrEdgeError: the temporary folder is full or cannot be written.
        """
        backlog = cls()
        try:
            yield backlog
        except sqlite3.Error as error:
            raise CxrEdgeError(
                f"the list of films cannot be kept in the temporary folder ({error}); "
                "set SQLITE_TMPDIR to another one"
            ) from error
        finally:
            backlog._database.close()

    def pass_over(self, written: Iterable[str]) -> None:
        """Leave films out, by their names as a row has them."""
        self._database.executemany(
            "INSERT OR IGNORE INTO seen VALUES (?)", ((name,) for name in written)
        )

    def add(self, names: Iterable[str]) -> int:
        """Add films, except those already added or skipped.

        Args:
            names: of films; Python's surrogates where bytes are no UTF-8.

        Returns:
            How many were named.
        """
        named = 0
        for name in names:
            named += 1
            seen = self._database.execute(
                "INSERT OR IGNORE INTO seen VALUES (?)", (name_in_row(name),)
            )
            if seen.rowcount:
                self._database.execute(
                    "INSERT INTO missing (name) VALUES (?)", (os.fsencode(name),)
                )
        return named

    def __len__(self) -> int:
        """Films left."""
        count: int = self._database.execute("SELECT count(*) FROM missing").fetchone()[0]
        return count

    def batches(self, size: int) -> Iterator[Batch]:
        """What is left, cut at the same places as before where ``size`` is the same."""
        rows = self._database.execute("SELECT number, name FROM missing ORDER BY number")
        for _, group in groupby(rows, lambda row: (row[0] - 1) // size):
            numbers, names = zip(*group)
            yield Batch(numbers[0], numbers[-1], zlib.compress(b"\0".join(names)))

    def remove(self, batch: Batch) -> None:
        """Remove a finished batch."""
        self._database.execute(
            "DELETE FROM missing WHERE number BETWEEN ? AND ?", (batch.first, batch.last)
        )


def batch_size(films: int, workers: int) -> int:
    """The number of films per batch."""
    return max(1, min(_MOST_FILMS, films // (_BATCHES * workers)))
