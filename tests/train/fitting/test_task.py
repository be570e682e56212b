import hashlib
from pathlib import Path
from typing import Any

from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from cxr_edge_train.fitting.task import TrainingTask, recipe_for
from cxr_edge_train.recipe import Fit, Recipe, parse_recipe

RECIPE = Recipe(fit=Fit(head_epochs=2))
FROM_SCRATCH = Recipe(fit=Fit(head_epochs=0))


def task_of(pipeline: Any, *, weights: str | None, reverse: bool = False) -> TrainingTask:
    table = read_splits(pipeline.splits, read_metadata(pipeline.metadata))
    return TrainingTask.of(
        table.iloc[::-1] if reverse else table,
        architecture="tiny",
        weights=weights,
        recipe=RECIPE,
        seed=0,
        root=pipeline.root,
    )


def test_nothing_is_frozen_of_random_weights() -> None:
    assert recipe_for("imagenet", RECIPE) == RECIPE
    assert recipe_for(None, RECIPE) == FROM_SCRATCH


def test_task_and_fingerprint_hold_the_recipe_as_it_is_carried_out(trained: Any) -> None:
    task = task_of(trained, weights=None)
    assert task.recipe == parse_recipe(task.fingerprint.recipe) == FROM_SCRATCH
    assert (task.fingerprint.weights, task.fingerprint.weights_sha256) == ("none", "")
    pretrained = task_of(trained, weights="imagenet")
    assert pretrained.recipe == parse_recipe(pretrained.fingerprint.recipe) == RECIPE


def test_no_test_image_is_part_of_a_task(trained: Any) -> None:
    task = task_of(trained, weights=None)
    assert set(task.table["split"]) == {"train", "validation"}
    assert len(task.rows("train")) + len(task.rows("validation")) == len(task.table)


def test_weights_file_is_known_by_its_content(trained: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.h5"
    file.write_bytes(b"weights")
    found = task_of(trained, weights=str(file)).fingerprint
    assert found.weights == "w.h5"
    assert found.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert task_of(trained, weights="imagenet").fingerprint.weights_sha256 == ""


def test_order_of_the_rows_does_not_change_the_fingerprint(trained: Any) -> None:
    reverse = task_of(trained, weights=None, reverse=True)
    assert reverse.fingerprint == task_of(trained, weights=None).fingerprint
