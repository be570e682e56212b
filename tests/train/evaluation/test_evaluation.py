import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_train.evaluation.bundle_subject import BundleSubject
from cxr_edge_train.evaluation.evaluation import (
    Evaluation,
    correct_by_kind,
    summarise,
)
from cxr_edge_train.evaluation.predictions import prediction_table
from cxr_edge_train.evaluation.reading_log import log_test_reading
from cxr_edge_train.evaluation.run_subject import RunSubject
from cxr_edge_train.statistics.operating_point import OperatingPoint

KINDS = ["normal", "normal", "bacteria", "bacteria", "virus", "unknown"]
TABLE = pd.DataFrame(
    {
        "path": [f"{number}.png" for number in range(6)],
        "label": ["NORMAL"] * 2 + ["PNEUMONIA"] * 4,
        "kind": KINDS,
        "patient": ["a", "b", "c", "d", "e", "f"],
    }
)
LOGITS = np.array([-2.0, 2.0, 3.0, -3.0, 4.0, 1.0])


def same_keys(value: Any) -> Any:
    return {key: same_keys(item) for key, item in value.items()} if isinstance(value, dict) else ...


@pytest.fixture
def bundle_evaluation(golden_bundle: Path) -> Evaluation:
    subject = BundleSubject(Bundle.load(golden_bundle))
    predictions = prediction_table(TABLE, LOGITS, subject.operating_point)
    return summarise(subject, predictions, split="validation")


@pytest.fixture
def run_evaluation(trained: Any) -> Evaluation:
    subject = RunSubject(trained.run)
    # Certain enough for any threshold; precision would be left out where nothing is called.
    predictions = prediction_table(TABLE, 20 * LOGITS, subject.operating_point)
    return summarise(subject, predictions, split="validation")


def test_counts_agree_with_the_figures(bundle_evaluation: Evaluation) -> None:
    assert (bundle_evaluation.n, bundle_evaluation.correct) == (6, 4)
    assert bundle_evaluation.metrics.accuracy.value == 4 / 6
    confusion = bundle_evaluation.confusion
    assert (confusion.tn, confusion.fp, confusion.fn, confusion.tp) == (1, 1, 1, 3)


def test_share_correct_by_kind_has_known_kinds_first_and_only_those_there() -> None:
    predictions = prediction_table(TABLE, LOGITS, OperatingPoint(1.0, 0.5, "a rule", "validation"))
    by_kind = correct_by_kind(predictions)
    assert list(by_kind) == ["normal", "bacteria", "virus", "unknown"]
    assert [(share.value, share.n) for share in by_kind.values()] == [
        (0.5, 2), (0.5, 2), (1.0, 1), (1.0, 1),
    ]  # fmt: skip


def test_run_and_bundle_have_one_schema(
    run_evaluation: Evaluation, bundle_evaluation: Evaluation
) -> None:
    of_run, of_bundle = run_evaluation.as_dict(), bundle_evaluation.as_dict()
    assert same_keys(of_run) == same_keys(of_bundle)
    assert (of_run["run"], of_run["bundle"], of_run["bundle_sha256"]) == ("run", None, None)
    assert (of_bundle["run"], of_bundle["bundle"]) == (None, "tiny-int8")
    json.dumps(of_run, allow_nan=False)


def test_log_has_a_line_for_each_reading(
    run_evaluation: Evaluation, bundle_evaluation: Evaluation, tmp_path: Path
) -> None:
    log = tmp_path / "docs" / "log.jsonl"
    for evaluation in (run_evaluation, bundle_evaluation):
        log_test_reading(log, evaluation, "abc")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert same_keys(lines[0]) == same_keys(lines[1])
    assert lines[0]["test_digest"] == "abc"
    assert lines[0]["model_sha256"] == run_evaluation.model.model_sha256


def test_log_keeps_every_field_of_the_first_version(
    bundle_evaluation: Evaluation, tmp_path: Path
) -> None:
    committed = Path(__file__).resolve().parents[3] / "docs" / "results" / "test-log.jsonl"
    first = json.loads(committed.read_text().splitlines()[0])
    log_test_reading(tmp_path / "log", bundle_evaluation, "abc")
    entry = json.loads((tmp_path / "log").read_text())
    assert set(first) <= set(entry)
    assert set(first["metrics"]) <= set(entry["metrics"])
