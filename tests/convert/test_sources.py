import json
import shutil
from pathlib import Path
from typing import Any

import keras
import pytest

from cxr_edge_convert.sources import Source, run_source
from cxr_edge_runtime.errors import DatasetError, RunError
from cxr_edge_train.progress import no_progress
from cxr_edge_train.recipe import Calibration
from cxr_edge_train.runs import read_run


def source_of(folder: Path, pipeline: Any, **changes: Any) -> Source:
    choices = {"root": None, "cache_dir": pipeline.cache, "progress": no_progress}
    return run_source(folder, **choices | changes)


@pytest.fixture
def run(trained: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.run, tmp_path / "run"))


def test_run_brings_its_model_images_and_operating_point(trained: Any) -> None:
    source, run = source_of(trained.run, trained), read_run(trained.run)
    assert source.name == "tiny"
    assert source.outputs == ("cam", "logit", "embedding")
    assert source.validation.operating_point == run.operating_point
    assert len(source.validation_pixels) == len(source.validation.table) == 200
    assert set(source.validation.table["split"]) == {"validation"}
    assert set(source.train["split"]) == {"train"}
    assert set(source.train["patient"]).isdisjoint(source.validation.table["patient"])
    auc = run.metrics["validation"]["auc"].value
    assert source.validation.metrics.auc.value == pytest.approx(auc, abs=1e-4)
    # The optimizer's state, twice the weights, does not count.
    assert source.keras_bytes < (trained.run / "model.keras").stat().st_size


def test_damaged_model_is_one_clear_error(run: Path, trained: Any) -> None:
    (run / "model.keras").write_bytes(b"PK broken")
    with pytest.raises(RunError, match=r"model\.keras: cannot be loaded .*; make it again"):
        source_of(run, trained)
    (run / "model.keras").unlink()
    with pytest.raises(RunError, match=r"model\.keras is missing"):
        source_of(run, trained)


def test_model_that_threshold_was_not_chosen_for_is_refused(run: Path, trained: Any) -> None:
    model = keras.models.load_model(run / "model.keras")
    model.get_layer("cam").set_weights([w * 3 for w in model.get_layer("cam").get_weights()])
    model.save(run / "model.keras")
    with pytest.raises(RunError, match=r"does not give the logits of predictions\.csv"):
        source_of(run, trained)


@pytest.mark.parametrize("change", ["a row less", "another label"])
def test_run_whose_images_are_others_now_is_refused(run: Path, trained: Any, change: str) -> None:
    """With fewer images of validation a model passed that was rejected on all."""
    lines = (run / "dataset.csv").read_text().splitlines(keepends=True)
    last = lines.pop()
    if change == "another label":
        labels = ("NORMAL", "PNEUMONIA")
        old, new = labels if f",{labels[0]}," in last else labels[::-1]
        lines.append(last.replace(f",{old},", f",{new},"))
    (run / "dataset.csv").write_text("".join(lines))
    with pytest.raises(RunError, match=r"dataset\.csv changed since the run was made"):
        source_of(run, trained)


def test_run_with_recipe_keys_of_an_earlier_version_is_read(run: Path, trained: Any) -> None:
    file = run / "recipe.toml"
    earlier = file.read_text().replace("[fit]", "invert = 0.0\nmixup = 0.2\n\n[fit]\nteachers = 3")
    file.write_text(earlier)
    source = source_of(run, trained)
    assert source.calibration == Calibration()
    # The bundle keeps it as it was carried out.
    assert source.training.recipe == earlier


def test_run_of_another_preprocess_version_is_refused(run: Path, trained: Any) -> None:
    values = json.loads((run / "run.json").read_text())
    values["preprocess"]["version"] = 99
    (run / "run.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match="made with preprocess version 99"):
        source_of(run, trained)


def test_changed_image_is_named(run: Path, trained: Any, tmp_path: Path) -> None:
    root = tmp_path / "pipeline"
    shutil.copytree(trained.root / "data", root / "data")
    film = next((root / "data" / "train" / "NORMAL").iterdir())
    for changed in (root / "data" / "train" / "NORMAL").iterdir():
        changed.write_bytes(film.read_bytes()[:-1] + b"x")
    with pytest.raises(DatasetError, match="changed since it was cleaned"):
        source_of(run, trained, root=root, cache_dir=tmp_path / "cache")
