"""All files of one run of ``clean``, in a private SQLite file that goes away with the run.

Tens of thousands of records would cost many megabytes as Python objects; here they cost none, and
duplicates, counts and shared patients are one query each.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning.report import FlowRow
from cxr_edge_train.cleaning.scanning import ScannedFile
from cxr_edge_train.dataset.metadata import METADATA_COLUMNS, ImageRecord, LeftOut

# How far a file came: the words of the column `state`.
UNREADABLE, DUPLICATE, TWO_LABELS, KEPT = "unreadable", "duplicate", "two labels", "kept"

# `place` is the order of the walk.
_LAYOUT = f"""
CREATE TABLE files (place INTEGER PRIMARY KEY, {", ".join(METADATA_COLUMNS)}, state, reason);
CREATE TABLE thumbnails (place INTEGER PRIMARY KEY, pixels BLOB);
"""
_ADD_IMAGE = (
    f"INSERT INTO files ({', '.join(METADATA_COLUMNS)}, state, reason) "
    f"VALUES ({', '.join('?' * len(METADATA_COLUMNS))}, '{KEPT}', '')"
)
_ADD_LEFT_OUT = (
    f"INSERT INTO files (path, split, label, state, reason) VALUES (?, ?, ?, '{UNREADABLE}', ?)"
)
_FLOW = f"""
SELECT split, label, count(*), sum(state != '{UNREADABLE}'),
    sum(state IN ('{TWO_LABELS}', '{KEPT}')), sum(state = '{KEPT}')
FROM files WHERE split = ? AND label = ?
"""


class Inventory:
    """What was found, and how far each file came.

    Attributes:
        connection: the tables ``files`` (the columns of the metadata, ``place``, ``state`` and
            ``reason``; ``md5`` is NULL for an unreadable file) and ``thumbnails``.
    """

    def __init__(self) -> None:
        """Make an empty inventory."""
        # An empty name is SQLite's own temporary file; it holds in memory what fits its cache.
        self.connection = sqlite3.connect("")
        self.connection.executescript(_LAYOUT)

    def __enter__(self) -> "Inventory":
        """Use it in a ``with`` block, at whose end it is gone."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it.

        Raises:
            DatasetError: the temporary folder is full.
        """
        self.connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise DatasetError(
                f"the list of files found does not fit into the temporary folder ({error}); free "
                "space there, or name another folder in the environment as SQLITE_TMPDIR"
            ) from error

    def add(self, files: Iterable[ScannedFile]) -> None:
        """Enter files in the order they come."""
        for file in files:
            if isinstance(file.outcome, ImageRecord):
                place = self.connection.execute(_ADD_IMAGE, file.outcome).lastrowid
                self.connection.execute(
                    "INSERT INTO thumbnails VALUES (?, ?)", (place, file.thumbnail)
                )
            else:
                path, reason = file.outcome
                self.connection.execute(_ADD_LEFT_OUT, (path, file.split, file.label, reason))
        self.connection.commit()

    def kept(self) -> Iterator[ImageRecord]:
        """The images that go into the metadata, in the order they were entered."""
        columns = ", ".join(METADATA_COLUMNS)
        rows = self.connection.execute(
            f"SELECT {columns} FROM files WHERE state = '{KEPT}' ORDER BY place"
        )
        return map(ImageRecord._make, rows)

    def left_out(self) -> Iterator[LeftOut]:
        """The other files, ordered by path."""
        rows = self.connection.execute(
            f"SELECT path, reason FROM files WHERE state != '{KEPT}' ORDER BY path"
        )
        return map(LeftOut._make, rows)

    def count(self, condition: str) -> int:
        """Number of files for which an SQL condition holds."""
        [[number]] = self.connection.execute(f"SELECT count(*) FROM files WHERE {condition}")
        return int(number)

    def flow(self, splits: Iterable[str], labels: Iterable[str]) -> tuple[FlowRow, ...]:
        """How many files of each split and label came how far; splits without a file are left out.

        Files below neither label are in no row.
        """
        labels = tuple(labels)
        present = {
            split for (split,) in self.connection.execute("SELECT DISTINCT split FROM files")
        }
        rows = []
        for split in splits:
            for label in labels if split in present else ():
                [[_, _, *counts]] = self.connection.execute(_FLOW, (split, label))
                rows.append(FlowRow(split, label, *(count or 0 for count in counts)))
        return tuple(rows)
