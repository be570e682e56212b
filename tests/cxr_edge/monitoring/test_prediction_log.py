import contextlib
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import logged_films
from cxr_edge.monitoring import prediction_log
from cxr_edge.monitoring.log_reader import read_distribution
from cxr_edge.monitoring.prediction_log import PredictionLog, timestamp
from cxr_edge_runtime.errors import InvalidRequest, LogError
from logged_films import BUNDLE, film, logged, rows


def test_closed_log_is_one_file_in_a_folder_that_was_made_for_it(tmp_path: Path) -> None:
    path = logged(tmp_path / "new" / "log.db", film(1))
    assert [entry.name for entry in path.parent.iterdir()] == ["log.db"]


def test_log_is_gone_on_with(tmp_path: Path) -> None:
    logged(tmp_path / "log.db", film(1))
    logged(tmp_path / "log.db", film(2), film(3))
    assert len(rows(tmp_path / "log.db")) == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"file,label\n" * 100, "is not a (log|data)"), (None, "not a log of cxr-edge")],
)
def test_another_file_is_refused_and_left_as_it_was(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "other.db"
    if content is None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE patients (name TEXT)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(InvalidRequest, match=words):
        PredictionLog(path)
    with pytest.raises(LogError, match=words):
        read_distribution(path, bundle=BUNDLE)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.db"]


def test_name_of_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="has the name of an image"):
        PredictionLog(tmp_path / "film.jpeg")
    assert not list(tmp_path.iterdir())


def test_log_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = logged(tmp_path / "log.db", film(1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    for use in (PredictionLog, lambda path: read_distribution(path, bundle=BUNDLE)):
        with pytest.raises(LogError, match=r"later version \(log format 2\); update cxr-edge"):
            use(path)


def _write(path: Path, first: int, count: int) -> None:
    log = PredictionLog(path)
    for number in range(first, first + count):
        log.append([film(number)])
    log.close()


def test_writers_in_several_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    context = multiprocessing.get_context("spawn")
    # All begin the log at once.
    writers = [context.Process(target=_write, args=(path, 1000 * n, 200)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len({image for image, *_ in rows(path)}) == 800


def test_writers_in_several_threads_lose_nothing(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    threads = [
        threading.Thread(target=lambda n=n: [log.append([film(1000 * n + k)]) for k in range(100)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert len(rows(tmp_path / "log.db")) == 400


def test_killed_writer_leaves_whole_rows_and_the_next_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    program = (
        "import sys, itertools; from pathlib import Path; from logged_films import *\n"
        "log = PredictionLog(Path(sys.argv[1]))\n"
        "for n in itertools.count(): log.append([film(n)])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(logged_films.__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], env=environment)
    wal = path.with_name("log.db-wal")
    while not (wal.exists() and wal.stat().st_size > 50_000):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows(path)
    assert [int(str(image), 16) for image, *_ in before] == list(range(len(before)))
    logged(path, film(1_000_000))
    assert len(rows(path)) == len(before) + 1


def test_power_cut_at_any_byte_leaves_the_first_films_whole(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = PredictionLog(path)
    for number in range(20):
        log.append([film(number)])
    wal = path.with_name("log.db-wal").read_bytes()
    counts = set()
    for length in [*range(0, len(wal), 997), len(wal)]:
        for zeros in (0, 4096):  # a file system may have grown the file and not yet filled it
            cut = tmp_path / "cut"
            shutil.rmtree(cut, ignore_errors=True)
            cut.mkdir()
            shutil.copy(path, cut / "log.db")
            (cut / "log.db-wal").write_bytes(wal[:length] + bytes(zeros))
            logged(cut / "log.db", film(500))
            found = [int(str(image), 16) for image, *_ in rows(cut / "log.db")]
            assert found == [*range(len(found) - 1), 500]
            counts.add(len(found))
    log.close()
    assert {1, 21} <= counts


def test_folder_is_no_log_and_a_name_that_sqlite_knows_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest, match="is a folder; name the file to write"):
        PredictionLog(tmp_path)
    monkeypatch.chdir(tmp_path)
    logged(Path(":memory:"), film(1))
    assert len(rows(tmp_path / ":memory:")) == 1


def test_writer_waits_for_another_and_gives_up_in_one_line(tmp_path: Path) -> None:
    path = logged(tmp_path / "log.db", film(1))
    log = PredictionLog(path, patience_s=0.2)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogError, match=r"cannot be written \(database is locked\)"):
            log.append([film(2)])
        other.execute("ROLLBACK")
    log.append([film(2)])
    log.close()
    assert len(rows(path)) == 2


def test_log_is_opened_as_soon_as_another_lets_it_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = logged(tmp_path / "log.db", film(1))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")

        class Followed(PredictionLog):
            """After its first transaction another reads, so that the journal cannot change."""

            @contextlib.contextmanager
            def _transaction(self) -> Iterator[None]:
                with super()._transaction():
                    yield
                other.execute("BEGIN")
                other.execute("SELECT * FROM films").fetchone()
                # For a reader SQLite would wait; for a writer, which comes and goes, it does not.
                self._connection.execute("PRAGMA busy_timeout = 0")

        monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited beyond its patience"))
        with pytest.raises(LogError, match=r"cannot be written \(database is locked\)"):
            Followed(path, patience_s=-1.0)
        other.execute("ROLLBACK")
        monkeypatch.setattr(time, "sleep", lambda _: other.execute("ROLLBACK"))
        Followed(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(rows(path)) == 1


@pytest.mark.parametrize(
    ("writable", "reason"),
    [
        (True, "unable to open database file"),
        (False, "its folder is not writable, and SQLite needs to create two more files in it"),
    ],
)
def test_log_that_sqlite_cannot_open_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool, reason: str
) -> None:
    path = logged(tmp_path / "log.db", film(1))
    (tmp_path / "log.db-wal").mkdir()
    # Tests of root may write everywhere.
    monkeypatch.setattr(os, "access", lambda folder, mode: writable or folder != tmp_path)
    with pytest.raises(LogError) as caught:
        PredictionLog(path)
    assert str(caught.value) == f"{path}: the log cannot be written ({reason}); choose another file"


@pytest.mark.parametrize("above", ["", "logs"])
def test_log_below_a_file_is_refused(tmp_path: Path, above: str) -> None:
    (tmp_path / "notes").touch()
    path = tmp_path / "notes" / above / "log.db"
    with pytest.raises(InvalidRequest, match=f"{path}: Not a directory; choose another output"):
        PredictionLog(path)


def test_old_rows_are_deleted_at_the_start_and_while_rows_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    ages = {1: 200, 2: 91, 3: 89, 4: 0}
    old = [
        replace(film(number), at=timestamp(now - timedelta(days=days)))
        for number, days in ages.items()
    ]
    path = logged(tmp_path / "log.db", *old)

    def kept() -> list[object]:
        return [row[0] for row in rows(path)]

    logged(path)
    assert len(kept()) == 4  # by default for ever
    log = PredictionLog(path, keep=timedelta(days=90))
    assert kept() == [one.image_sha256 for one in old[2:]]
    log.append([old[0]])
    assert len(kept()) == 3  # not at every film
    monkeypatch.setattr(prediction_log, "_DELETE_EVERY_S", -1.0)
    log.append([film(5)])
    assert old[0].image_sha256 not in kept()
    log.close()
    PredictionLog(path, keep=timedelta(days=10**6)).close()  # before the first year
