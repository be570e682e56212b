import hashlib
from pathlib import Path
from typing import Any

from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from cxr_edge_train.fitting.fingerprint import RunFingerprint, recipe_for, run_fingerprint
from cxr_edge_train.recipe import Fit, Recipe, parse_recipe

RECIPE = Recipe(fit=Fit(head_epochs=2, fine_tune_from="block_13"))


def settings(road: Any, *, weights: str | None, reverse: bool = False) -> RunFingerprint:
    table = read_splits(road.splits, read_metadata(road.metadata))
    return run_fingerprint(
        table.iloc[::-1] if reverse else table,
        architecture="tiny",
        weights=weights,
        recipe=RECIPE,
        seed=0,
    )


def test_nothing_is_frozen_of_random_weights() -> None:
    assert recipe_for("imagenet", RECIPE) == RECIPE
    assert recipe_for(None, RECIPE) == Recipe(fit=Fit(head_epochs=0, fine_tune_from=""))


def test_settings_hold_the_recipe_as_it_is_carried_out(tiny_road: Any) -> None:
    found = settings(tiny_road, weights=None)
    assert parse_recipe(found.recipe) == recipe_for(None, RECIPE)
    assert (found.weights, found.weights_sha256) == ("none", "")


def test_weights_file_is_known_by_its_content(tiny_road: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.h5"
    file.write_bytes(b"weights")
    found = settings(tiny_road, weights=str(file))
    assert found.weights == "w.h5"
    assert found.weights_sha256 == hashlib.sha256(b"weights").hexdigest()
    assert settings(tiny_road, weights="imagenet").weights_sha256 == ""


def test_order_of_the_rows_is_no_setting(tiny_road: Any) -> None:
    reverse = settings(tiny_road, weights=None, reverse=True)
    assert reverse == settings(tiny_road, weights=None)
