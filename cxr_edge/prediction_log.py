"""A log of what was answered, for ``cxr-edge drift``: numbers about films, no pixels and no names.

One SQLite file with a row a film. Its journal is a write-ahead log, so writers in several processes
wait for each other, a reader waits for nobody, and a power cut leaves every row whole: the last
seconds' may be missing, since waiting for the disk after each film would wear out an SD card.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cxr_edge_runtime.answer_distribution import AnswerDistribution
from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, LogError
from cxr_edge_runtime.gate import REJECTED
from cxr_edge_runtime.images import SUFFIXES

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


@dataclass(frozen=True, slots=True)
class LoggedFilm:
    """A row of the log.

    Attributes:
        image_sha256: of the image's file, hexadecimal.
        bundle_sha256: digest of the bundle that answered.
        gate: the input gate's verdict.
        distance: that the gate measured; None where the bundle has none.
        probability: of the positive label; None where no answer was given.
        at: when, UTC, as ``2026-11-26T21:05:04Z``.
    """

    image_sha256: str
    bundle_sha256: str
    gate: str
    distance: float | None
    probability: float | None
    at: str

    @classmethod
    def of(cls, prediction: Prediction, bundle: Bundle) -> "LoggedFilm":
        """A film that was answered now, by a classifier that hashes images."""
        assert prediction.image_sha256 is not None
        return cls(
            prediction.image_sha256,
            bundle.digest,
            prediction.gate.verdict,
            prediction.gate.distance,
            prediction.probability,
            written(datetime.now(UTC)),
        )


def written(time_utc: datetime) -> str:
    """A time as the log has it; later ones come later in the alphabet, too."""
    return time_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


class PredictionLog:
    """A log that rows are added to, from any thread."""

    def __init__(self, path: Path, *, patience_s: float = 30.0) -> None:
        """Open the log, or begin one.

        Args:
            path: the file; made where absent, with the folders above it.
            patience_s: seconds that a writer waits for another one.

        Raises:
            LogError: it cannot be written, or the file is something else.
        """
        if path.suffix.lower() in SUFFIXES:
            raise LogError(f"--log {path}: is an image's name; name a log's file, such as log.db")
        # Absolute: SQLite takes some words for something else than a file.
        self._path, self._patience_s = path.absolute(), patience_s
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
        except LogError:
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

    def close(self) -> None:
        """Close the file; the last writer moves the write-ahead log into it."""
        with self._lock:
            self._connection.close()

    def _begin(self) -> None:
        with self._transaction():
            identity = _identity(self._connection)
            is_new = identity == (0, 0) and not _tables(self._connection)
            if is_new:
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                self._connection.execute(_SCHEMA)
            else:
                _check(identity, self._path)
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
            reason = _reason(error, self._path)
            raise LogError(
                f"--log {self._path}: cannot be written ({reason}); choose another file"
            ) from error


class LogWriter:
    """Adds the films that were answered; a full disk does not keep others from their answers.

    Attributes:
        error: what kept films from being added; None where nothing did.
    """

    def __init__(self, log: PredictionLog, bundle: Bundle) -> None:
        """Write to an open log."""
        self._log, self._bundle = log, bundle
        self.error: LogError | None = None

    def write(self, image: Path, result: Result) -> None:
        """Add one film; nothing more once that failed."""
        if self.error or isinstance(result, CxrEdgeError):
            return
        try:
            self._log.append([LoggedFilm.of(result, self._bundle)])
        except LogError as error:
            self.error = error

    def close(self) -> None:
        """Close the log."""
        self._log.close()


def read_answers(
    path: Path, *, bundle: str, since: str | None = None, before: str | None = None
) -> AnswerDistribution:
    """How a bundle's answers in a log are distributed; of a film answered twice the last counts.

    Args:
        path: the log; it is only read, also while others write to it.
        bundle: digest of the bundle.
        since: only films from then on, written as :attr:`LoggedFilm.at`.
        before: only films before.

    Raises:
        LogError: no such log, or no film of this bundle and time in it.
    """
    if not path.is_file():
        raise LogError(f"{path}: no such log; classify, serve and score write one with --log")
    try:
        with contextlib.closing(sqlite3.connect(_read_only(path), uri=True)) as log:
            _check(_identity(log), path)
            rows = np.array(
                log.execute(
                    "SELECT gate = ?, probability, distance FROM films WHERE rowid IN (SELECT "
                    "max(rowid) FROM films WHERE bundle_sha256 = ? AND at >= ? AND at < ? GROUP BY "
                    "image_sha256)",
                    (REJECTED, bundle, since or "", before or "9"),
                ).fetchall(),
                dtype=np.float32,
            ).reshape(-1, 3)
            if not len(rows):
                raise LogError(f"{path}: {_nothing_of(log, bundle)}")
    except sqlite3.Error as error:
        reason = _reason(error, path)
        raise LogError(f"{path}: cannot be read as a log ({reason})") from error
    rejected, probabilities, distances = rows[:, 0] == 1, rows[:, 1], rows[:, 2]
    if np.isnan(distances).any():  # no gate, so that nothing was measured
        distances = distances[:0]
    return AnswerDistribution.of(probabilities, distances, rejected)


def _read_only(path: Path) -> str:
    """The address of a log that is only read."""
    path = path.resolve()
    # Beside a log SQLite makes files even to read it. Where it cannot, nobody writes, either.
    finished = not path.with_name(f"{path.name}-wal").exists()
    alone = finished and not os.access(path.parent, os.W_OK)
    return f"{path.as_uri()}?mode=ro" + ("&immutable=1" if alone else "")


def _reason(error: Exception, path: Path) -> str:
    """What keeps a log from being used, where SQLite only says that it cannot open it."""
    if not isinstance(error, sqlite3.Error):
        return str(getattr(error, "strerror", None) or error)
    if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return str(error)
    if path.is_dir():
        return "it is a folder"
    if not os.access(path.parent, os.W_OK):
        return "its folder cannot be written, in which SQLite needs room for two more files"
    return str(error)


def _nothing_of(log: sqlite3.Connection, bundle: str) -> str:
    digests = [
        digest[:12]
        for (digest,) in log.execute("SELECT DISTINCT bundle_sha256 FROM films ORDER BY 1")
    ]
    if not digests:
        return "holds no film yet"
    if bundle[:12] in digests:
        return f"holds no film that bundle {bundle[:12]} answered in that time"
    return (
        f"holds no film that bundle {bundle[:12]} answered, but of {', '.join(digests)}; name the "
        "bundle that answered with --bundle"
    )


def _identity(connection: sqlite3.Connection) -> tuple[int, int]:
    """Application and version of the schema."""
    return (
        connection.execute("PRAGMA application_id").fetchone()[0],
        connection.execute("PRAGMA user_version").fetchone()[0],
    )


def _tables(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    return count


def _check(identity: tuple[int, int], path: Path) -> None:
    application, version = identity
    if application != _APPLICATION_ID:
        raise LogError(f"{path}: is a database, but no log of cxr-edge; choose another file")
    if version != _SCHEMA_VERSION:
        raise LogError(f"{path}: was written by a later cxr-edge (log format {version}); update")
