import csv
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_train import architectures
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from cxr_edge_train.fitting import training
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.fitting.training import train_run
from cxr_edge_train.recipe import Recipe, read_recipe
from cxr_edge_train.runs import read_dataset, read_run
from tiny_model import TINY


def task_of(pipeline: Any, table: pd.DataFrame | None = None, **changes: Any) -> TrainingTask:
    if table is None:
        table = read_splits(pipeline.splits, read_metadata(pipeline.metadata))
    settings: dict[str, Any] = {
        "architecture": "mobilenetv2", "weights": None, "recipe": Recipe(), "seed": 0,
        "root": pipeline.root,
    }  # fmt: skip
    return TrainingTask.of(table, **settings | changes)


def test_run_holds_everything(trained: Any) -> None:
    names = {path.name for path in trained.run.iterdir()}
    assert names == {
        "model.keras", "run.json", "recipe.toml", "dataset.csv", "history.csv", "predictions.csv",
        "figures",
    }  # fmt: skip
    assert read_recipe(trained.run / "recipe.toml").fit.epochs == 3
    history = list(csv.DictReader((trained.run / "history.csv").read_text().splitlines()))
    # No head phase: the weights began at random.
    assert [row["epoch"] for row in history] == ["0", "1", "2"]
    assert sum(float(row["seconds"]) for row in history) == pytest.approx(
        read_run(trained.run).seconds, abs=0.1
    )


def test_no_test_image_enters_the_run(trained: Any) -> None:
    table = read_dataset(trained.run)
    assert set(table["split"]) == {"train", "validation"}
    text = (trained.run / "dataset.csv").read_text()
    assert "data/test" not in text


def test_saved_model_has_its_optimizer_state_and_gives_the_recorded_logits(
    trained: Any,
) -> None:
    model = keras.models.load_model(trained.run / "model.keras")
    assert int(model.optimizer.iterations) > 0
    moments = [v for v in model.optimizer.variables if "momentum" in v.path]
    assert any(np.abs(np.asarray(moment)).max() > 0 for moment in moments)

    rows = list(csv.DictReader((trained.run / "predictions.csv").read_text().splitlines()))
    from cxr_edge_train.dataset.pixels import load_pixels

    table = read_dataset(trained.run)
    validation = table[table["split"] == "validation"]
    run = read_run(trained.run)
    prepare = Preprocessor(run.preprocess)
    pixels = load_pixels(validation, prepare, root=Path(run.root), cache_dir=trained.cache)
    logits = predict_logits(model, pixels)
    recorded = [float(row["logit"]) for row in rows]
    np.testing.assert_allclose(logits, recorded, atol=1e-4)


def test_operating_point_keeps_its_floor_on_validation(trained: Any) -> None:
    run = read_run(trained.run)
    assert run.metrics["validation"]["sensitivity"].value >= 0.95
    assert 0 < run.operating_point.threshold < 1
    assert run.operating_point.temperature > 0


def test_finished_run_is_not_overwritten(trained: Any) -> None:
    with pytest.raises(InvalidRequest, match="holds a finished run already"):
        train_run(task_of(trained), output=trained.run, cache_dir=trained.cache)


@pytest.mark.parametrize("left", [0, 1])
def test_split_with_too_few_patients_of_a_label_is_refused(
    trained: Any, tmp_path: Path, left: int
) -> None:
    table = read_splits(trained.splits, read_metadata(trained.metadata))
    some = table[(table["split"] == "validation") & (table["label"] == "NORMAL")]
    dropped = some[~some["patient"].isin(some["patient"].unique()[:left])]
    message = f"the validation split has {left} NORMAL patients, at least 2 are needed"
    with pytest.raises(DatasetError, match=message):
        train_run(
            task_of(trained, table.drop(dropped.index)),
            output=tmp_path / "run",
            cache_dir=trained.cache,
        )
    assert not (tmp_path / "run").exists()


def test_other_weights_than_an_interrupted_training_had_are_refused_before_they_are_loaded(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(trained)
    fingerprint = asdict(replace(task.fingerprint, weights="w.h5", weights_sha256="0f"))
    (tmp_path / "unfinished.json").write_text(json.dumps(fingerprint))
    np.savez(tmp_path / "snapshot.npz", progress=json.dumps({"epochs": 1}))
    monkeypatch.setattr(TrainingTask, "untrained_model", lambda _: pytest.fail("loaded"))
    with pytest.raises(InvalidRequest, match=r"weights w\.h5 instead of none"):
        train_run(task, output=tmp_path, cache_dir=tmp_path / "cache")


def test_moved_images_are_found_below_another_root(trained: Any, tmp_path: Path) -> None:
    task = task_of(trained, root=tmp_path)
    with pytest.raises(DatasetError, match="if the images were moved"):
        train_run(task, output=tmp_path / "run", cache_dir=tmp_path / "cache")


def test_run_whose_process_was_killed_as_it_ended_is_not_trained_again(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(architectures, "ARCHITECTURES", {"tiny": TINY})
    monkeypatch.setattr(training, "_train", killed)
    recipe = read_recipe(trained.run / "recipe.toml")
    task = task_of(trained, architecture="tiny", recipe=recipe)
    with pytest.raises(InterruptedError):
        train_run(task, output=tmp_path / "run", cache_dir=trained.cache)
    for name in ("model.keras", "dataset.csv", "run.json"):
        shutil.copy(trained.run / name, tmp_path / "run")
    (tmp_path / "run" / "best-0001.keras").touch()
    run = train_run(task, output=tmp_path / "run", cache_dir=trained.cache)
    assert run.folder == tmp_path / "run"
    assert run == read_run(trained.run)
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {"model.keras", "dataset.csv", "run.json"}
