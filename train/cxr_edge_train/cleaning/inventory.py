"""All files of one run of ``clean``, in a private SQLite file that is removed after the run.

Tens of thousands of records would cost many megabytes as Python objects; here they cost none, and
duplicates, counts and shared patients are one query each.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning.scanning import ScannedFile
from cxr_edge_train.dataset.class_names import KERMANY, ClassNames
from cxr_edge_train.dataset.metadata import METADATA_COLUMNS, ImageRecord, LeftOut

# How far a file came, in the column `state`. A check that leaves files out for another reason sets
# a state of its own; such files count as unique and not as kept.
UNREADABLE, DUPLICATE, TWO_LABELS, KEPT = "unreadable", "duplicate", "two labels", "kept"

# `position` is the order in which the files were found.
_LAYOUT = f"""
CREATE TABLE files (
    position INTEGER PRIMARY KEY, {", ".join(METADATA_COLUMNS)}, state, reason, further
);
CREATE TABLE thumbnails (position INTEGER PRIMARY KEY, pixels BLOB);
"""
_ADD_IMAGE = (
    f"INSERT INTO files ({', '.join(METADATA_COLUMNS)}, state, reason, further) "
    f"VALUES ({', '.join('?' * len(METADATA_COLUMNS))}, '{KEPT}', '', ?)"
)
_ADD_LEFT_OUT = (
    f"INSERT INTO files (path, split, label, state, reason) VALUES (?, ?, ?, '{UNREADABLE}', ?)"
)
_FLOW = f"""
SELECT split, label, count(*), sum(state != '{UNREADABLE}'),
    sum(state NOT IN ('{UNREADABLE}', '{DUPLICATE}')), sum(state = '{KEPT}')
FROM files WHERE split = ? AND label = ?
"""


@dataclass(frozen=True, slots=True)
class FlowRow:
    """How many files of one split and label passed each step of cleaning.

    Attributes:
        split: the data set's own folder: ``train``, ``val`` or ``test``.
        label: one of the two class names.
        found: files in the folder, except hidden ones.
        readable: of these, images that can be decoded completely.
        unique: of these, all but surplus exact copies.
        kept: of these, all that enter the metadata.
    """

    split: str
    label: str
    found: int
    readable: int
    unique: int
    kept: int


class Inventory:
    """All files that were found, and how far each of them came.

    Attributes:
        connection: the tables ``files`` (the columns of the metadata, ``position``, ``state``,
            ``reason`` and ``further``; ``md5`` is NULL for an unreadable file) and ``thumbnails``.
        names: the names of the classes.
        further_columns: the columns beside those of the record, in the order they were met; their
            values are JSON in ``further``.
    """

    def __init__(self, names: ClassNames = KERMANY) -> None:
        """Create an empty inventory of films of two classes."""
        # An empty name is SQLite's own temporary file; it holds in memory what fits its cache.
        self.connection = sqlite3.connect("")
        self.names = names
        self.further_columns: tuple[str, ...] = ()
        self.connection.executescript(_LAYOUT)

    def __enter__(self) -> "Inventory":
        """Use the inventory in a ``with`` block; it is removed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the inventory.

        Raises:
            DatasetError: the temporary folder is full.
        """
        self.connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise DatasetError(
                f"the list of files found does not fit into the temporary folder ({error}); free "
                "space there, or set SQLITE_TMPDIR to another folder"
            ) from error

    def add(self, files: Iterable[ScannedFile]) -> None:
        """Enter files in the order in which they are given."""
        for file in files:
            if isinstance(file.outcome, ImageRecord):
                new = [name for name in file.columns if name not in self.further_columns]
                self.further_columns += tuple(new)
                values = (*file.outcome, json.dumps(dict(file.columns)))
                position = self.connection.execute(_ADD_IMAGE, values).lastrowid
                self.connection.execute(
                    "INSERT INTO thumbnails VALUES (?, ?)", (position, file.thumbnail)
                )
            else:
                path, reason = file.outcome
                self.connection.execute(_ADD_LEFT_OUT, (path, file.split, file.label, reason))
        self.connection.commit()

    def kept(self) -> Iterator[tuple[object, ...]]:
        """Iterate over the rows of the metadata, in the order in which the images were entered.

        Yields:
            The fields of an :class:`ImageRecord`, then the values of ``further_columns``.
        """
        columns = ", ".join((*METADATA_COLUMNS, "further"))
        rows = self.connection.execute(
            f"SELECT {columns} FROM files WHERE state = '{KEPT}' ORDER BY position"
        )
        for *record, further in rows:
            values = json.loads(further)
            yield (*record, *(values.get(name, "") for name in self.further_columns))

    def left_out(self) -> Iterator[LeftOut]:
        """Iterate over the files that are left out, ordered by path."""
        rows = self.connection.execute(
            f"SELECT path, reason FROM files WHERE state != '{KEPT}' ORDER BY path"
        )
        return map(LeftOut._make, rows)

    def count(self, condition: str) -> int:
        """Count the files for which an SQL condition holds."""
        [[number]] = self.connection.execute(f"SELECT count(*) FROM files WHERE {condition}")
        return int(number)

    def patients_at_several(self, column: str) -> int:
        """Count the patients whose kept films have more than one value in a further column."""
        [[number]] = self.connection.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM files WHERE state = '{KEPT}' AND patient != '' "
            "GROUP BY patient HAVING count(DISTINCT json_extract(further, ?)) > 1)",
            (f'$."{column}"',),
        )
        return int(number)

    def flow(self, splits: Iterable[str]) -> tuple[FlowRow, ...]:
        """Count the files of each split and label after each step of cleaning.

        Args:
            splits: the splits to count, in order; one without any file gets no row.

        Returns:
            One row per split and label. Files without a label are in no row.
        """
        present = {
            split for (split,) in self.connection.execute("SELECT DISTINCT split FROM files")
        }
        rows = []
        for split in splits:
            for label in self.names if split in present else ():
                [[_, _, *counts]] = self.connection.execute(_FLOW, (split, label))
                rows.append(FlowRow(split, label, *(count or 0 for count in counts)))
        return tuple(rows)
