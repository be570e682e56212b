import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.evaluation.run_subject import RunSubject
from cxr_edge_train.run_locator import keep_locator, locator_of, preprocessor_of
from cxr_edge_train.runs import Run, read_run


@pytest.fixture
def run(trained_on_lungs: Any, tmp_path: Path) -> Run:
    shutil.copytree(trained_on_lungs.run, tmp_path / "run")
    return read_run(tmp_path / "run")


def test_run_gives_back_the_locator_it_was_trained_with(run: Run, locator: Any) -> None:
    kept = locator_of(run)
    assert kept is not None
    assert kept.record == locator.record
    for format in ("tflite", "onnx"):
        assert kept.model(format) == locator.model(format)
    assert RunSubject(run.folder).prepare.locator.margin == 1.2


def test_run_on_whole_films_has_none(trained: Any) -> None:
    run = read_run(trained.run)
    assert locator_of(run) is None
    assert preprocessor_of(run).locator is None


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def other_margin(file: Path) -> None:
    file.write_text(file.read_text().replace("1.2", "1.3"))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("locator.json", other_margin, "is not that of the lung locator that the run was made"),
        ("locator.json", Path.unlink, r"run/locator\.json: is missing; copy the run again$"),
        ("locator.tflite", flipped, "is not the file that locator.json describes"),
        ("locator.tflite", Path.unlink, "cannot be read .*; copy its folder again$"),
        ("locator.onnx", Path.unlink, "cannot be read .*; copy its folder again$"),
    ],
)
def test_copy_that_changed_is_refused(
    run: Run, name: str, change: Callable[[Path], None], words: str
) -> None:
    change(run.folder / name)
    with pytest.raises(RunError, match=words):
        RunSubject(run.folder)


@pytest.mark.parametrize("change", [{"locator_sha256": ""}, {"preprocess": None}])
def test_locator_and_preprocessing_need_each_other(
    run: Run, trained: Any, change: dict[str, Any]
) -> None:
    if "preprocess" in change:
        change = {"preprocess": read_run(trained.run).preprocess}
    with pytest.raises(RunError, match="which requires a lung locator; make the run again"):
        locator_of(replace(run, **change))


def test_locator_that_changed_since_it_was_read_is_not_kept(tmp_path: Path, locator: Any) -> None:
    shutil.copytree(locator.folder, tmp_path / "locator")
    flipped(tmp_path / "locator" / "locator.onnx")
    with pytest.raises(RunError, match=r"locator.onnx: is not the file"):
        keep_locator(replace(locator, folder=tmp_path / "locator"), tmp_path)


def test_record_of_the_run_is_plain_json(run: Run) -> None:
    assert len(json.loads((run.folder / "run.json").read_text())["locator_sha256"]) == 64
