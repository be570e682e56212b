import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.dataset.metadata import dataset_digest, read_metadata, read_splits
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.runs import read_dataset, read_history, read_predictions, read_run, write_run


@pytest.fixture
def run(trained: Any, tmp_path: Path) -> Path:
    """A copy of the tables and ``run.json``, with a model that nothing here opens."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.json", "dataset.csv", "history.csv", "predictions.csv"):
        shutil.copy(trained.run / name, folder)
    (folder / "model.keras").touch()
    return folder


def test_run_is_written_as_it_was_read(run: Path, tmp_path: Path) -> None:
    text = (run / "run.json").read_text()
    write_run(tmp_path, read_run(run))
    assert (tmp_path / "run.json").read_text() == text
    assert {"temperature", "threshold", "threshold_rule"} < set(json.loads(text))


def test_run_records_its_test_images_and_its_unknown_patients(trained: Any) -> None:
    run = read_run(trained.run)
    table = read_splits(trained.splits, read_metadata(trained.metadata))
    assert run.test_digest == dataset_digest(table[table["split"] == "test"])
    assert run.unknown_patients == UnknownPatients(0, of=1200)
    content = json.loads((trained.run / "run.json").read_text())
    assert content["unknown_patients"] == {"images": 0, "of": 1200}


def test_run_of_before_these_were_recorded_is_read_and_written_as_it_is(
    run: Path, tmp_path: Path
) -> None:
    values = json.loads((run / "run.json").read_text())
    del values["test_digest"], values["unknown_patients"]
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    (run / "run.json").write_text(text)
    old = read_run(run)
    assert (old.test_digest, old.unknown_patients) == ("", None)
    write_run(tmp_path, old)
    assert (tmp_path / "run.json").read_text() == text


def validation(folder: Path) -> pd.DataFrame:
    table = read_dataset(folder)
    return table[table["split"] == "validation"]


def test_predictions_come_in_the_order_of_the_rows(run: Path) -> None:
    rows = validation(run)
    assert read_predictions(run, rows).tolist() == read_predictions(run, rows[::-1])[::-1].tolist()


def test_predictions_of_other_images_are_refused(run: Path) -> None:
    rows = validation(run).assign(path="elsewhere.png")
    with pytest.raises(RunError, match=r"predictions\.csv: damaged \(.*\); make it again"):
        read_predictions(run, rows)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("dataset.csv", read_dataset),
        ("history.csv", read_history),
        ("predictions.csv", lambda run: read_predictions(run, pd.DataFrame({"path": ["a"]}))),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8\xff", b"a,b\n1,2\n"])
def test_damaged_table_is_one_clear_error(
    run: Path, name: str, read: Callable[[Path], object], content: bytes | None
) -> None:
    file = run / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RunError, match=rf"^{file}: damaged \(.*\); make it again$"):
        read(run)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "damaged \\(the text is not valid JSON"),
        ("[]", "damaged"),
        ("{}", "damaged .*; expected architecture, weights, seed"),
        ('{"preprocess": {}, "format": 1}', "damaged .*; expected architecture, weights, seed"),
    ],
)
def test_damaged_run_is_one_clear_error(run: Path, text: str, reason: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(RunError, match=f"run.json: {reason}"):
        read_run(run)


@pytest.mark.parametrize("name", ["model.keras", "dataset.csv"])
def test_missing_part_of_a_run_is_named(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(RunError, match=f"run: {name} is missing; make it again"):
        read_run(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, this cxr-edge reads 1; make it again"),
        ({"preprocess": {"version": 9}}, "made with preprocess version 9"),
        ({"surprise": 1}, "damaged"),
        (
            {"preprocess": {"height": 32, "width": 32, "rule": "squash-bicubic", "version": 2}},
            "preprocess.rule is not that of version 2",
        ),
    ],
)
def test_run_of_another_kind_is_refused(run: Path, change: dict[str, Any], message: str) -> None:
    values = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(values | change))
    with pytest.raises(RunError, match=message):
        read_run(run)


def test_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json is missing"):
        read_run(tmp_path)
