"""``cxr_edge.check_drift``: what it returns, and what it refuses."""

import doctest
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

import cxr_edge
from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.monitoring import drift_check
from cxr_edge.monitoring.prediction_log import LoggedFilm, PredictionLog
from cxr_edge_runtime.bundle.reference import VerifiedPredictions
from cxr_edge_runtime.errors import InvalidRequest, LogError

Write = Callable[..., Path]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write predictions as on validation, or with ``moved`` distances, into ``log.db``."""
    monkeypatch.chdir(tmp_path)
    bundle = load_bundle("tiny")
    mixed = VerifiedPredictions.of_bundle(bundle).mixed(0.2)
    random = np.random.default_rng(0)
    numbers = iter(range(100_000))

    def write(count: int, *, moved: float = 0.0, day: str = "2026-05-01") -> Path:
        opened = PredictionLog(Path("log.db"))
        values = zip(
            random.choice(mixed.probabilities, count), random.choice(mixed.distances, count)
        )
        opened.append(
            LoggedFilm(
                f"{next(numbers):064x}", bundle.digest, "accepted", float(distance) + moved,
                float(probability), f"{day}T12:00:00Z",
            )
            for probability, distance in values
        )  # fmt: skip
        opened.close()
        return Path("log.db")

    return write


def test_example_of_the_docstring_gives_what_it_says(log: Write) -> None:
    log(1000)
    examples = doctest.DocTestFinder().find(drift_check.check_drift, "check_drift")
    runner = doctest.DocTestRunner()
    for example in examples:
        runner.run(example)
    assert (runner.failures, runner.tries) == (0, 2)


def test_result_says_how_far_predictions_are_and_prints_nothing(
    log: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    path = log(400, moved=8)
    check = cxr_edge.check_drift(path, bundle="tiny", plot="drift.png")
    assert check.drift.films == 400
    assert check.drift.missed
    assert check.positives is not None
    assert check.positives.verified == pytest.approx(0.75, abs=0.25)
    assert check.bundle.manifest.name == "tiny"
    assert check.plot == Path("drift.png")
    assert check.plot.is_file()
    assert capfd.readouterr() == ("", "")


def test_time_without_a_zone_is_utc(log: Write) -> None:
    log(300, day="2026-05-01")
    path = log(300, day="2026-05-02", moved=8)
    found = {
        cxr_edge.check_drift(path, bundle="tiny", since=since, against="earlier").drift
        for since in (
            datetime(2026, 5, 1, 18),
            datetime(2026, 5, 1, 18, tzinfo=UTC),
            datetime(2026, 5, 2, 14, tzinfo=timezone(timedelta(hours=5))),
        )
    }
    assert [drift.films for drift in found] == [300]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"against": "later"}, "against must be bundle or earlier"),
        ({"against": ["bundle"]}, "against must be bundle or earlier"),
        ({"against": "earlier"}, "needs the time at which they end"),
        ({"since": "2026-05-01"}, "since must be a datetime, not str"),
        ({"bundle": 3}, "a bundle must be a name"),
        ({"plot": "drift.jpeg"}, "name a file that ends with .png"),
        ({"plot": 3}, "plot must be a path, not 3"),
        ({"log": 3}, "log must be a path, not 3"),
        ({"log": ""}, "log must be a path, not ''"),
    ],
)
def test_wrong_request_is_our_error(log: Write, options: dict[str, object], reason: str) -> None:
    given = {"log": log(300), "bundle": "tiny"} | options
    with pytest.raises(InvalidRequest, match=reason):
        cxr_edge.check_drift(given.pop("log"), **given)


@pytest.mark.parametrize(("films", "words"), [(1, "1 film;"), (99, "99 films;")])
def test_too_few_films_are_no_evidence(log: Write, films: int, words: str) -> None:
    with pytest.raises(LogError, match=f"{words} at least 100 are needed"):
        cxr_edge.check_drift(log(films), bundle="tiny")


def test_hundred_films_are_compared(log: Write) -> None:
    check = cxr_edge.check_drift(log(100), bundle="tiny")
    assert check.drift.probability is not None
    assert check.drift.distance is not None
    assert check.not_compared == ()
