import contextlib
import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from cxr_edge.monitoring.log_writer import PredictionRecorder
from cxr_edge.monitoring.prediction_log import PredictionLog
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import LogError
from serving import PHANTOM

Serve = Callable[..., TestClient]


def test_films_that_were_answered_are_logged_without_their_names(
    serve: Serve, shipped: Bundle, tmp_path: Path
) -> None:
    log = PredictionLog(tmp_path / "log.db")
    answered = PredictionRecorder(log, on_error=print)
    films = [("a", ("Doe^Jane.jpeg", PHANTOM.read_bytes())), ("b", ("b.png", b"no film"))]
    answer = serve(log=answered).post("/v1/classify", files=films).json()["results"][0]
    log.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        [row] = connection.execute("SELECT * FROM films").fetchall()
    assert row[0] == hashlib.sha256(PHANTOM.read_bytes()).hexdigest()
    assert row[1:3] == (shipped.digest, answer["gate"]["verdict"])
    assert b"Doe" not in (tmp_path / "log.db").read_bytes()


def test_log_that_cannot_be_written_keeps_nobody_from_an_answer_and_is_said_once(
    serve: Serve, tmp_path: Path
) -> None:
    log = PredictionLog(tmp_path / "log.db", patience_s=0.01)
    errors: list[LogError] = []
    client = serve(log=PredictionRecorder(log, errors.append))
    statuses = []
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        for held in (True, True, False, True):
            if held:
                other.execute("BEGIN IMMEDIATE")
            answer = client.post("/v1/classify", content=PHANTOM.read_bytes())
            statuses.append(answer.status_code)
            if held:
                other.execute("ROLLBACK")
        [count] = other.execute("SELECT count(*) FROM films").fetchone()
    log.close()
    assert statuses == [200] * 4
    assert count == 1
    assert ["database is locked" in str(error) for error in errors] == [True, True]
