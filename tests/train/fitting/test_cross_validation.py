import doctest
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.errors import InvalidRequest, RunError
from cxr_edge_train import architectures
from cxr_edge_train.evaluation.suspects import find_suspects
from cxr_edge_train.fitting.cross_validation import CrossValidation, cross_validate
from cxr_edge_train.recipe import Fit, Model, Recipe
from cxr_edge_train.runs import read_dataset
from tiny_model import TINY


def validated(trained: Any, output: Path, **changed: Any) -> CrossValidation:
    arguments = {
        "folds": 2,
        "architecture": "tiny",
        "weights": None,
        "recipe": Recipe(Model(image_size=32), fit=Fit(batch_size=50, epochs=1)),
        "root": trained.root,
    }
    return cross_validate(trained.metadata, trained.splits, output=output, **(arguments | changed))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("tiny")
def test_every_film_validates_once_no_patient_is_on_both_sides_and_suspects_are_out_of_fold(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = validated(trained, tmp_path / "folds")
    assert [run.folder.name for run in found.runs] == ["fold-1", "fold-2"]
    parts = [read_dataset(run.folder) for run in found.runs]
    validation = [part.loc[part["split"] == "validation", "path"] for part in parts]
    assert sorted(pd.concat(validation)) == sorted(parts[0]["path"])
    assert not pd.concat(validation).str.contains("/test/").any()
    for part in parts:
        assert part.groupby("patient")["split"].nunique().max() == 1
    values = [run.metrics["validation"]["auc"].value for run in found.runs]
    spread = found.spread["auc"]
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.deviation == pytest.approx(np.std(values, ddof=1))
    assert (spread.lowest, spread.highest) == (min(values), max(values))

    assert "sensitivity" not in found.spread

    # A second call trains nothing again; another recipe is refused.
    before = (tmp_path / "folds" / "fold-1" / "run.json").stat().st_mtime_ns
    assert validated(trained, tmp_path / "folds").runs == found.runs
    assert (tmp_path / "folds" / "fold-1" / "run.json").stat().st_mtime_ns == before
    with pytest.raises(InvalidRequest, match="a finished run with another seed"):
        validated(trained, tmp_path / "folds", seed=1)
    with pytest.raises(InvalidRequest, match="a finished run with another lowest sensitivity"):
        validated(trained, tmp_path / "folds", min_sensitivity=0.6)

    suspects = find_suspects(tmp_path / "folds", number=14, output=tmp_path / "out")
    assert len(suspects) == 14
    assert (suspects["contradiction"].diff().dropna() <= 0).all()
    first = suspects.iloc[0]
    fold = found.runs[first["fold"] - 1]
    answers = pd.read_csv(fold.folder / "predictions.csv").set_index("path")
    assert answers.loc[first["path"], "probability"] == first["probability"]
    distance = abs(first["probability"] - (first["label"] == "PNEUMONIA"))
    assert first["contradiction"] == pytest.approx(distance)
    written = pd.read_csv(tmp_path / "out" / "suspects.csv")
    assert list(written["path"]) == list(suspects["path"])
    assert len(list((tmp_path / "out" / "figures").glob("*.png"))) == 2
    page = (tmp_path / "out" / "suspects.html").read_text()
    assert first["path"] in page
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder().find(find_suspects, "find_suspects"):
        runner.run(example)
    assert (runner.failures, runner.tries) == (0, 3)
    # Its own output is written again.
    find_suspects(tmp_path / "folds", number=3, output=tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "suspects.csv")) == 3
    # Of a fold that is missing no film would be suspect.
    (tmp_path / "folds" / "fold-2").rename(tmp_path / "gone")
    shutil.copytree(tmp_path / "folds" / "fold-1", tmp_path / "folds" / "fold-3")
    with pytest.raises(
        RunError,
        match=r"\d+ films of 1200 not held out in any fold here; train "
        "all",
    ):
        find_suspects(tmp_path / "folds")


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"folds": 1}, "folds must be"),
        ({"folds": 21}, "folds must be"),
        ({"folds": 2.5}, "folds must be"),
    ],
)
def test_number_of_folds_is_checked(
    trained: Any, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        validated(trained, tmp_path / "folds", **changed)


def test_folder_without_folds_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no folds here; make them with cxr-edge train"):
        find_suspects(tmp_path)


@pytest.mark.usefixtures("tiny")
def test_output_that_holds_something_else_is_left_alone(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InvalidRequest, match="a cross-validation"):
        validated(trained, tmp_path)
