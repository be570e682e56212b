"""A log of predictions, to find drift: numbers about films, no pixels and no names.

One SQLite file with one row per film. Its journal is a write-ahead log, so writers in several
processes wait for each other, a reader waits for nobody, and a power cut leaves every row whole:
the last seconds' may be missing, since waiting for the disk after each film would wear out an SD
card.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest, LogError
from cxr_edge_runtime.files.outputs import begins_with, check_file
from cxr_edge_runtime.images import SUFFIXES
from cxr_edge_runtime.probability import probability_of

# "CXRL"; with the number of the schema it tells a log from any other database.
_APPLICATION_ID = 0x4358524C
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
    image_sha256 TEXT NOT NULL,
    bundle_sha256 TEXT NOT NULL,
    gate TEXT NOT NULL,
    distance REAL,
    probability REAL,
    at TEXT NOT NULL
)
"""


# To look for old rows all of them are read.
_DELETE_EVERY_S = 3600.0
_IS_DATABASE = begins_with(b"SQLite format 3\0")


@dataclass(frozen=True, slots=True)
class LoggedFilm:
    """A row of the log.

    Attributes:
        image_sha256: SHA-256 of the image file, hexadecimal.
        bundle_sha256: digest of the bundle that classified.
        gate: the input gate's verdict.
        distance: the gate distance; None where the bundle has none.
        probability: the probability of the positive label; None where the gate rejected the film.
        at: time in UTC, such as ``2026-11-26T21:05:04Z``.
    """

    image_sha256: str
    bundle_sha256: str
    gate: str
    distance: float | None
    probability: float | None
    at: str

    @classmethod
    def of(cls, prediction: Prediction, bundle: Bundle) -> "LoggedFilm":
        """A film that was classified now, with its hash."""
        assert prediction.image_sha256 is not None
        return cls(
            prediction.image_sha256,
            bundle.digest,
            prediction.gate.verdict,
            prediction.gate.distance,
            # That of the bundle, whatever prevalence was asked for: it is compared with others.
            None
            if prediction.probability is None
            else probability_of(prediction.logit, bundle.manifest),
            timestamp(datetime.now(UTC)),
        )


def timestamp(time_utc: datetime) -> str:
    """A time as :attr:`LoggedFilm.at` has it; later ones come later in the alphabet, too."""
    return time_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def check_output(path: Path) -> None:
    """Check that a log may be written, as far as that is seen without opening the database.

    Raises:
        InvalidRequest: the name is an image's, the file is no database, or it cannot be written
            there.
    """
    if path.suffix.lower() in SUFFIXES:
        raise InvalidRequest(f"{path}: has the name of an image; name a log file, such as log.db")
    check_file(path, "a log of predictions", ours=_IS_DATABASE)


class PredictionLog:
    """A log that rows are added to, from any thread."""

    def __init__(
        self, path: Path, *, patience_s: float = 30.0, keep: timedelta | None = None
    ) -> None:
        """Open the log, or begin one.

        Args:
            path: the file; made where absent, with the folders above it.
            patience_s: seconds that a writer waits for another one.
            keep: rows that are older are deleted, now and once an hour with the rows that are
                added; None keeps all.

        Raises:
            InvalidRequest: the file is something else; see :func:`check_output`.
            LogError: it cannot be written, or is a log of a later version.
        """
        check_output(path)
        # Absolute: SQLite takes some names for something else than a file.
        self._path, self._patience_s = path.absolute(), patience_s
        self._keep, self._deleted_at = keep, time.monotonic()
        self._lock = threading.Lock()
        with self._errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Transactions are written out below.
            self._connection = sqlite3.connect(
                self._path, timeout=patience_s, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._begin()
                with self._transaction():
                    self._delete_old()
        except CxrEdgeError:
            self._connection.close()
            raise

    def append(self, films: Iterable[LoggedFilm]) -> None:
        """Add rows, all or none.

        Raises:
            LogError: they cannot be written.
        """
        with self._lock, self._errors(), self._transaction():
            self._connection.executemany(
                "INSERT INTO films VALUES (?, ?, ?, ?, ?, ?)", map(astuple, films)
            )
            if time.monotonic() > self._deleted_at + _DELETE_EVERY_S:
                self._delete_old()

    def close(self) -> None:
        """Close the file; the last writer moves the write-ahead log into it."""
        with self._lock:
            self._connection.close()

    def _begin(self) -> None:
        with self._transaction():
            is_new = _identity(self._connection) == (0, 0) and not _tables(self._connection)
            if is_new:
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                self._connection.execute(_SCHEMA)
            else:
                check_is_log(self._connection, self._path, another=InvalidRequest)
        # SQLite does not wait for other writers here.
        end = time.monotonic() + self._patience_s
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def _delete_old(self) -> None:
        self._deleted_at = time.monotonic()
        if self._keep is not None:
            with contextlib.suppress(OverflowError):  # of the years before the first one
                first = timestamp(datetime.now(UTC) - self._keep)
                self._connection.execute("DELETE FROM films WHERE at < ?", (first,))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:  # after a full disk SQLite has gone back itself
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = why_unusable(error, self._path)
            raise LogError(
                f"{self._path}: the log cannot be written ({reason}); choose another file"
            ) from error


def check_is_log(
    connection: sqlite3.Connection, path: Path, *, another: type[CxrEdgeError] = LogError
) -> None:
    """Refuse a database that is something else.

    Args:
        connection: to the database.
        path: what errors call it.
        another: the error where it is no log.

    Raises:
        LogError: it is no log, or one of a later version.
    """
    application, version = _identity(connection)
    if application != _APPLICATION_ID:
        raise another(f"{path}: is a database, but not a log of cxr-edge; choose another file")
    if version != _SCHEMA_VERSION:
        raise LogError(
            f"{path}: was written by a later version (log format {version}); update cxr-edge"
        )


def why_unusable(error: sqlite3.Error | OSError, path: Path) -> str:
    """Explain why a log cannot be used, where SQLite only says that it cannot open it."""
    if not isinstance(error, sqlite3.Error):
        return f"{error.strerror}: {error.filename}"  # a folder above the log
    if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return str(error)
    if path.is_dir():
        return "it is a folder"
    if not os.access(path.parent, os.W_OK):
        return "its folder is not writable, and SQLite needs to create two more files in it"
    return str(error)


def _identity(connection: sqlite3.Connection) -> tuple[int, int]:
    """Application and version of the schema."""
    return (
        connection.execute("PRAGMA application_id").fetchone()[0],
        connection.execute("PRAGMA user_version").fetchone()[0],
    )


def _tables(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return count
