import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.monitoring.log_reader import read_distribution
from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog, timestamp
from cxr_edge_runtime.errors import LogError
from logged_films import BUNDLE, film, logged


def test_reader_sees_films_while_they_are_written(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log.db")
    log.append([film(1)])
    assert read_distribution(tmp_path / "log.db", bundle=BUNDLE).films == 1
    log.append([film(2)])
    assert read_distribution(tmp_path / "log.db", bundle=BUNDLE).films == 2
    log.close()


def test_of_a_film_answered_twice_the_last_answer_counts(tmp_path: Path) -> None:
    path = logged(tmp_path / "log.db", film(10), film(20), film(10, gate="rejected"))
    found = read_distribution(path, bundle=BUNDLE)
    assert (found.films, found.rejected) == (2, 1)
    assert found.probabilities.tolist() == pytest.approx([0.2])


def test_films_of_a_time_are_those_from_its_first_second_to_before_its_last(
    tmp_path: Path,
) -> None:
    days = [timestamp(datetime(2026, month, 1, tzinfo=UTC)) for month in range(1, 5)]
    path = logged(tmp_path / "log.db", *(film(n, at=day) for n, day in enumerate(days)))
    assert read_distribution(path, bundle=BUNDLE, since=days[1]).films == 3
    assert read_distribution(path, bundle=BUNDLE, before=days[1]).films == 1
    assert read_distribution(path, bundle=BUNDLE, since=days[1], before=days[3]).films == 2
    with pytest.raises(
        LogError, match="holds no film that bundle bbbbbbbbbbbb classified since 2027"
    ):
        read_distribution(path, bundle=BUNDLE, since="2027-01-01T00:00:00Z")


def test_log_without_such_films_says_which_it_has(tmp_path: Path) -> None:
    path = logged(tmp_path / "log.db", film(1))
    with pytest.raises(
        LogError,
        match=r"no film that bundle cccccccccccc classified, but some of bbbbbbbbbbbb; choose",
    ):
        read_distribution(path, bundle="c" * 64)
    with pytest.raises(LogError, match="holds no film yet"):
        read_distribution(logged(tmp_path / "empty.db"), bundle=BUNDLE)
    with pytest.raises(LogError, match="no such log"):
        read_distribution(tmp_path / "nowhere.db", bundle=BUNDLE)


@pytest.mark.parametrize("value", ["'high'", "'nan'", "x'00'", "9e999", "1e300", "NULL"])
def test_text_where_a_number_belongs_is_one_line(tmp_path: Path, value: str) -> None:
    path = logged(tmp_path / "log.db", film(1), film(2))
    with contextlib.closing(sqlite3.connect(path)) as log, log:
        log.execute(f"UPDATE films SET probability = {value} WHERE rowid = 2")
        log.execute("UPDATE films SET bundle_sha256 = x'00' WHERE rowid = 1")
    with pytest.raises(
        LogError,
        match=r"cannot be read as a log \(a film has an impossible "
        r"value\)$",
    ):
        read_distribution(path, bundle=BUNDLE)
    with pytest.raises(LogError, match="holds no film that bundle cccccccccccc"):
        read_distribution(path, bundle="c" * 64)


def test_bundle_without_a_gate_logs_no_distance(tmp_path: Path) -> None:
    path = logged(
        tmp_path / "log.db", LoggedFilm("a" * 64, BUNDLE, "not_checked", None, 0.5, "2026")
    )
    assert read_distribution(path, bundle=BUNDLE).distances.shape == (0,)


def test_rejected_film_without_a_distance_takes_none_from_the_others(tmp_path: Path) -> None:
    path = logged(
        tmp_path / "log.db", film(1), film(2),
        LoggedFilm("a" * 64, BUNDLE, "rejected", None, None, "2026"),
    )  # fmt: skip
    found = read_distribution(path, bundle=BUNDLE)
    assert (found.answered, len(found.distances)) == (2, 2)


@pytest.mark.parametrize(
    ("distance", "probability"), [(1.0, None), (1.0, 7.0), (float("inf"), 0.5), (1.0, "much")]
)
def test_number_that_no_version_wrote_is_our_error(
    tmp_path: Path, distance: float, probability: Any
) -> None:
    path = logged(
        tmp_path / "log.db", film(1),
        LoggedFilm("a" * 64, BUNDLE, "accepted", distance, probability, "2026"),
    )  # fmt: skip
    with pytest.raises(LogError, match="cannot be read as a log"):
        read_distribution(path, bundle=BUNDLE)


def test_finished_log_is_read_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = logged(tmp_path / "log.db", film(1))
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert read_distribution(path, bundle=BUNDLE).films == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.db"]
