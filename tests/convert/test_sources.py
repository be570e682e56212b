import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_edge_convert.sources import Source, foreign_source, run_source
from cxr_edge_runtime.errors import DatasetError, RunError
from cxr_edge_train.progress import no_progress
from cxr_edge_train.runs import read_run


def source_of(folder: Path, road: Any, **changes: Any) -> Source:
    choices = {"root": None, "cache_dir": road.cache, "progress": no_progress}
    return run_source(folder, **choices | changes)


@pytest.fixture
def run(tiny_road: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_road.run, tmp_path / "run"))


def test_run_brings_its_model_images_and_operating_point(tiny_road: Any) -> None:
    source, run = source_of(tiny_road.run, tiny_road), read_run(tiny_road.run)
    assert source.name == "tiny"
    assert source.outputs == ("cam", "logit", "embedding")
    assert (source.validation.threshold, source.validation.temperature) == (
        run.operating_point.threshold, run.operating_point.temperature,
    )  # fmt: skip
    assert len(source.validation_pixels) == len(source.validation.table) == 200
    assert set(source.validation.table["split"]) == {"validation"}
    assert set(source.train["split"]) == {"train"}
    assert set(source.train["patient"]).isdisjoint(source.validation.table["patient"])
    auc = run.metrics["validation"]["auc"].value
    assert source.validation.metrics.auc.value == pytest.approx(auc, abs=1e-4)
    # The optimizer's state, twice the weights, does not count.
    assert source.keras_bytes < (tiny_road.run / "model.keras").stat().st_size


def test_damaged_model_is_one_clear_error(run: Path, tiny_road: Any) -> None:
    (run / "model.keras").write_bytes(b"PK broken")
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded .*; train again"):
        source_of(run, tiny_road)
    (run / "model.keras").unlink()
    with pytest.raises(RunError, match=r"model\.keras is missing"):
        source_of(run, tiny_road)


def test_model_that_threshold_was_not_chosen_for_is_refused(run: Path, tiny_road: Any) -> None:
    model = keras.models.load_model(run / "model.keras")
    model.get_layer("cam").set_weights([w * 3 for w in model.get_layer("cam").get_weights()])
    model.save(run / "model.keras")
    with pytest.raises(RunError, match=r"does not give the logits of predictions\.csv"):
        source_of(run, tiny_road)


def test_run_of_another_preprocess_version_is_refused(run: Path, tiny_road: Any) -> None:
    values = json.loads((run / "run.json").read_text())
    values["preprocess"]["version"] = 99
    (run / "run.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match="made with preprocess version 99"):
        source_of(run, tiny_road)


def test_changed_image_is_named(run: Path, tiny_road: Any, tmp_path: Path) -> None:
    root = tmp_path / "road"
    shutil.copytree(tiny_road.root / "data", root / "data")
    film = next((root / "data" / "train" / "NORMAL").iterdir())
    for changed in (root / "data" / "train" / "NORMAL").iterdir():
        changed.write_bytes(film.read_bytes()[:-1] + b"x")
    with pytest.raises(DatasetError, match="changed since it was cleaned"):
        source_of(run, tiny_road, root=root, cache_dir=tmp_path / "cache")


def own_model(folder: Path, name: str = "my model (v2)") -> Path:
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(x)).save(
        folder / f"{name}.keras"
    )
    return folder / f"{name}.keras"


def foreign_of(file: Path, road: Any, **changes: Any) -> Source:
    choices = {
        "metadata": road.metadata,
        "splits": road.splits,
        "labels": ["NORMAL", "PNEUMONIA"],
        "scaling": "0-1",
        "min_sensitivity": 0.95,
        "root": None,
        "cache_dir": road.cache,
        "progress": no_progress,
    }
    return foreign_source(file, **choices | changes)


def test_somebody_elses_model_gets_its_operating_point_on_validation(
    tiny_road: Any, tmp_path: Path
) -> None:
    source = foreign_of(own_model(tmp_path), tiny_road)
    assert source.name == "my-model-v2"
    assert source.validation.metrics.sensitivity.value >= 0.95
    assert source.threshold_rule == "highest specificity with sensitivity at least 0.95"
    assert "unknown" in source.training.weights
    assert len(source.validation.table) == 200
    assert not set(source.train["split"]) - {"train"}
    assert np.isfinite(source.validation.logits).all()


def test_validation_of_one_label_is_refused(tiny_road: Any, tmp_path: Path) -> None:
    lines = tiny_road.splits.read_text().splitlines(keepends=True)
    one = [line.replace("validation", "train") if "NORMAL" in line else line for line in lines]
    (tmp_path / "splits.csv").write_text("".join(one))
    with pytest.raises(DatasetError, match="validation needs images of both labels"):
        foreign_of(own_model(tmp_path), tiny_road, splits=tmp_path / "splits.csv")
