"""A prevalence moves probability and threshold everywhere, and changes no label."""

import csv
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge import Bundle, Classifier
from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.scoring.backlog import Backlog
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.scoring.worker import Job, Worker
from cxr_edge.serving.server import application
from cxr_edge_runtime.bundle import write_bundle
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.probability import at_prevalence

FILMS = sorted((Path(__file__).parents[2] / "data" / "samples").glob("*.jpeg"))
STATED, WANTED = 0.7, 0.1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle, as if its probabilities stood for a prevalence of 70%."""
    shipped = load_bundle("mobilenetv2-int8")
    contents = {name: shipped.read(name) for name in shipped.manifest.files}
    folder = tmp_path_factory.mktemp("bundles") / "stated"
    write_bundle(folder, replace(shipped.manifest, prevalence=STATED), contents)
    return folder


@pytest.fixture(scope="module")
def expected(bundle: Path) -> list[tuple[str | None, float, float]]:
    """Label, probability and threshold of each film, moved to the prevalence wanted."""
    classifier = Classifier(bundle)
    predictions = [classifier.classify(film, force=True) for film in FILMS]
    assert len({prediction.label for prediction in predictions}) == 2
    return [
        (
            prediction.label,
            at_prevalence(prediction.probability or 0.0, stated=STATED, wanted=WANTED),
            at_prevalence(prediction.threshold, stated=STATED, wanted=WANTED),
        )
        for prediction in predictions
    ]


def same(rows: list[dict[str, Any]], expected: list[tuple[str | None, float, float]]) -> None:
    assert [row["label"] for row in rows] == [label for label, _, _ in expected]
    for row, (_, probability, threshold) in zip(rows, expected, strict=True):
        assert float(row["probability"]) == pytest.approx(probability, abs=2e-6)
        assert float(row["threshold"]) == pytest.approx(threshold, abs=2e-6)
        assert float(row["prevalence"]) == WANTED


def test_classify_moves_json_and_csv_and_logs_the_bundles_own(
    cxr_edge: Any, bundle: Path, expected: Any, tmp_path: Path
) -> None:
    table, log = tmp_path / "answers.csv", tmp_path / "log.db"
    outcome = cxr_edge(
        "classify", "--json", "--force", *FILMS, "--bundle", bundle, "--prevalence", WANTED,
        "--csv", table, "--log", log,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    same([json.loads(line) for line in outcome.out.splitlines()], expected)
    with table.open() as file:
        same(list(csv.DictReader(file)), expected)
    with closing(sqlite3.connect(log)) as opened:
        logged = [value for (value,) in opened.execute("SELECT probability FROM films")]
    own = [Classifier(bundle).classify(film, force=True).probability for film in FILMS]
    assert logged == pytest.approx(own)


def test_server_moves_them_too(bundle: Path, expected: Any) -> None:
    options: dict[str, Any] = {
        "threads": 1, "engine": None, "token": None, "own_hosts_only": False, "log": None,
        "log_keep": None, "on_log_error": print,
    }  # fmt: skip
    with (
        application(Bundle.load(bundle), prevalence=WANTED, **options) as app,
        TestClient(app) as client,
    ):
        model = client.get("/v1/model").json()
        results = [
            client.post("/v1/classify?force=true", content=film.read_bytes()).json()
            for film in FILMS
        ]
    rows = [answer["results"][0] for answer in results]
    same(rows, expected)
    # A program may compare with the threshold that the model states.
    assert (model["prevalence"], model["threshold"]) == (WANTED, rows[0]["threshold"])


def test_archive_is_scored_at_one_prevalence(bundle: Path, expected: Any, tmp_path: Path) -> None:
    loaded, output = Bundle.load(bundle), tmp_path / "scores"
    output.mkdir()
    job = Job.of(
        loaded, engine=None, output=str(output), mark=None, logged=False, prevalence=WANTED
    )
    names = [str(film) for film in FILMS]
    with Backlog.opened() as backlog:
        backlog.add(names)
        [batch] = backlog.batches(1000)
        Worker(job).score(batch)
    results = ResultsFolder(str(output))
    rows = results.read(names, loaded.digest)
    assert rows is not None
    answered = [row for row in rows if row.label is not None]
    assert answered
    for row in answered:
        label, probability, _ = expected[names.index(row.file)]
        assert (row.label, row.prevalence) == (label, WANTED)
        assert row.probability == pytest.approx(probability)
    assert sorted(results.written(loaded.digest, prevalence=WANTED)) == sorted(names)
    with pytest.raises(InvalidRequest, match=r"contains results at another prevalence \(0\.1\)"):
        list(results.written(loaded.digest, prevalence=STATED))


@pytest.mark.parametrize("value", ["0", "1", "1.5", "nan", "some"])
def test_prevalence_that_cannot_be_is_wrong_usage(cxr_edge: Any, bundle: Path, value: str) -> None:
    outcome = cxr_edge("classify", FILMS[0], "--bundle", bundle, "--prevalence", value)
    assert outcome.code == 2
    assert "prevalence" in outcome.err


def test_bundle_that_does_not_state_its_own_is_refused(cxr_edge: Any, golden_bundle: Path) -> None:
    outcome = cxr_edge("classify", FILMS[0], "--bundle", golden_bundle, "--prevalence", "0.1")
    assert outcome.code == 2
    assert "does not state the prevalence" in outcome.err
