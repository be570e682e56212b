from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train import architectures
from cxr_edge_train.comparison import plan as comparison_plan
from cxr_edge_train.comparison.plan import Task, plan
from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from tiny_model import TINY

TWO = {"tiny": TINY, "pure_cnn": replace(TINY, pretrained=False)}


@pytest.fixture(autouse=True)
def two_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", TWO)


def make(road: Any, output: Path, **changes: Any) -> list[Task]:
    table = read_splits(road.splits, read_metadata(road.metadata))
    arguments: dict[str, Any] = {
        "architectures": ["tiny", "pure_cnn"], "weights": [], "recipes": [], "seed": 0,
        "output": output,
    } | changes  # fmt: skip
    return plan(table, arguments.pop("architectures"), **arguments)


def test_weights_for_all_others_and_for_one(tiny_road: Any, tmp_path: Path) -> None:
    file = tmp_path / "a=b.h5"
    file.touch()
    made = make(tiny_road, tmp_path / "out", weights=["none"])
    assert [task.weights for task in made] == [None, None]
    made = make(tiny_road, tmp_path / "out", weights=[str(file), "pure_cnn=none"])
    assert [task.weights for task in made] == [str(file), None]
    made = make(tiny_road, tmp_path / "out", weights=[f"tiny={file}"])
    assert [task.weights for task in made] == [str(file), None]
    assert [task.weights for task in make(tiny_road, tmp_path / "out")] == ["imagenet", None]


def test_recipe_for_one(tiny_road: Any, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('[fit]\nepochs = 3\nfine_tune_from = "block3"\n')
    made = make(tiny_road, tmp_path / "out", recipes=[f"pure_cnn={recipe}"])
    assert [task.recipe.fit.epochs for task in made] == [12, 3]
    # Its weights begin at random, so none of them is frozen.
    assert (made[1].recipe.fit.head_epochs, made[1].recipe.fit.fine_tune_from) == (0, "")
    assert made[0].folder == tmp_path / "out" / "runs" / "tiny"
    assert not made[0].finished


def test_name_outside_the_comparison_is_refused(tiny_road: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="--weights tiny=: tiny is not among --architectures"):
        make(tiny_road, tmp_path, architectures=["pure_cnn"], weights=["tiny=none"])


def test_unknown_and_repeated_names_are_refused(tiny_road: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="unknown architecture 'resnet'; known are tiny"):
        make(tiny_road, tmp_path, architectures=["resnet"])
    with pytest.raises(InvalidRequest, match="a name is given twice"):
        make(tiny_road, tmp_path, architectures=["tiny", "tiny"])


def test_finished_run_of_other_settings_is_refused(tiny_road: Any, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tiny").symlink_to(tiny_road.run)
    with pytest.raises(InvalidRequest, match="a finished run with another seed, recipe;"):
        make(tiny_road, tmp_path, weights=["none"], seed=1)
    recipes = [f"tiny={tiny_road.run / 'recipe.toml'}"]
    made = make(tiny_road, tmp_path, weights=["none"], recipes=recipes)
    assert made[0].finished
