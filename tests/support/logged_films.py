"""Logs of predictions for tests."""

import contextlib
import sqlite3
from pathlib import Path

from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog

BUNDLE = "b" * 64


def film(number: int, *, gate: str = "accepted", at: str = "2026-01-01T00:00:00Z") -> LoggedFilm:
    probability = None if gate == "rejected" else (number % 100) / 100
    return LoggedFilm(f"{number:064x}", BUNDLE, gate, 30.0, probability, at)


def logged(path: Path, *films: LoggedFilm) -> Path:
    log = PredictionLog(path)
    log.append(films)
    log.close()
    return path


def rows(path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT * FROM films ORDER BY rowid").fetchall()
