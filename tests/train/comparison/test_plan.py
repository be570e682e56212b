from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train import architectures
from cxr_edge_train.comparison import plan as comparison_plan
from cxr_edge_train.comparison.plan import PlannedRun, plan
from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from cxr_edge_train.recipe import Fit, Recipe
from tiny_model import TINY

TWO = {"tiny": TINY, "pure_cnn": replace(TINY, pretrained=False)}


@pytest.fixture(autouse=True)
def two_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (architectures, comparison_plan):
        monkeypatch.setattr(module, "ARCHITECTURES", TWO)


def make(pipeline: Any, output: Path, **changes: Any) -> list[PlannedRun]:
    table = read_splits(pipeline.splits, read_metadata(pipeline.metadata))
    arguments: dict[str, Any] = {
        "architectures": ["tiny", "pure_cnn"], "weights": "imagenet", "recipe": None, "seed": 0,
        "root": pipeline.root, "output": output, "locator": None,
    } | changes  # fmt: skip
    return plan(table, arguments.pop("architectures"), **arguments)


def test_weights_for_all_others_and_for_one(trained: Any, tmp_path: Path) -> None:
    file = tmp_path / "a=b.h5"
    file.touch()
    for weights, of_tiny in (
        (None, None),
        ("none", None),
        ("imagenet", "imagenet"),
        (file, str(file)),
        ({"*": file, "pure_cnn": "none"}, str(file)),
        ({"*": "none", "tiny": str(file)}, str(file)),
        ({}, "imagenet"),
    ):
        made = make(trained, tmp_path / "out", weights=weights)
        assert [planned.task.weights for planned in made] == [of_tiny, None]
    with pytest.raises(InvalidRequest, match="pure_cnn is trained from scratch"):
        make(trained, tmp_path / "out", weights={"pure_cnn": "imagenet"})


def test_recipe_for_one(trained: Any, tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text("[fit]\nepochs = 3\n")
    made = make(trained, tmp_path / "out", recipe={"pure_cnn": recipe})
    assert [planned.task.recipe.fit.epochs for planned in made] == [12, 3]
    # Its weights begin at random, so it is not frozen.
    assert made[1].task.recipe.fit.head_epochs == 0
    assert made[0].folder == tmp_path / "out" / "runs" / "tiny"
    assert not made[0].finished


def recipe_file(folder: Path, name: str, *, epochs: int) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"[fit]\nepochs = {epochs}\n")
    return file


def test_several_recipes_of_an_architecture_are_candidates_called_after_their_files(
    trained: Any, tmp_path: Path
) -> None:
    a, b = (recipe_file(tmp_path, f"{name}.toml", epochs=n) for n, name in ((3, "a"), (4, "b")))
    output = tmp_path / "out"
    made = make(trained, output, recipe=[a, b])
    assert [(planned.name, planned.task.recipe.fit.epochs) for planned in made] == [
        ("tiny-a", 3), ("tiny-b", 4), ("pure_cnn-a", 3), ("pure_cnn-b", 4),
    ]  # fmt: skip
    assert [planned.task.architecture for planned in made] == ["tiny"] * 2 + ["pure_cnn"] * 2
    assert made[1].folder == output / "runs" / "tiny-b"
    mixed = make(trained, output, recipe={"tiny": [str(a), b], "*": [b]})
    assert [planned.name for planned in mixed] == ["tiny-a", "tiny-b", "pure_cnn"]
    numbered = make(
        trained, output, architectures=["tiny"], recipe=[None, Recipe(fit=Fit(epochs=3))]
    )
    assert [planned.name for planned in numbered] == ["tiny-1", "tiny-2"]


def test_recipes_that_cannot_be_told_apart_are_refused(trained: Any, tmp_path: Path) -> None:
    one, other = (recipe_file(tmp_path / str(n), "a.toml", epochs=n) for n in (3, 4))
    with pytest.raises(
        InvalidRequest, match="two candidates are called tiny-a; give the recipe files"
    ):
        make(trained, tmp_path / "out", recipe=[one, other])
    same = recipe_file(tmp_path, "b.toml", epochs=3)
    same.write_text(same.read_text() + '[calibration]\nmethod = "percentile"\n')
    with pytest.raises(InvalidRequest, match="tiny-a and tiny-b would be trained by the same rec"):
        make(trained, tmp_path / "out", recipe=[one, same])
    with pytest.raises(InvalidRequest, match="no recipe is given for tiny"):
        make(trained, tmp_path / "out", recipe=[])


def test_name_outside_the_comparison_is_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="weights for tiny: tiny is not among the arch"):
        make(trained, tmp_path, architectures=["pure_cnn"], weights={"tiny": "none"})


def test_unknown_and_repeated_names_are_refused(trained: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="unknown architecture 'resnet'; choose one of tiny"):
        make(trained, tmp_path, architectures=["resnet"])
    with pytest.raises(InvalidRequest, match="an architecture is named twice"):
        make(trained, tmp_path, architectures=["tiny", "tiny"])


def test_finished_run_of_other_settings_is_refused(
    trained: Any, tmp_path: Path, locator: Any
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tiny").symlink_to(trained.run)
    with pytest.raises(InvalidRequest, match="a finished run with another seed, recipe;"):
        make(trained, tmp_path, weights="none", seed=1)
    recipe = {"tiny": trained.run / "recipe.toml"}
    made = make(trained, tmp_path, weights="none", recipe=recipe)
    assert made[0].finished
    with pytest.raises(InvalidRequest, match="a finished run with another locator;"):
        make(trained, tmp_path, weights="none", recipe=recipe, locator=locator)


@pytest.mark.parametrize("architectures", ["tiny", [], [3], 3, {"tiny"}])
def test_architectures_that_are_no_list_of_names_are_refused(
    trained: Any, tmp_path: Path, architectures: Any
) -> None:
    with pytest.raises(InvalidRequest, match="architectures must be a list of names"):
        make(trained, tmp_path, architectures=architectures)


def test_all_architectures_are_compared_where_none_is_named(trained: Any, tmp_path: Path) -> None:
    made = make(trained, tmp_path, architectures=None)
    assert [planned.task.architecture for planned in made] == ["tiny", "pure_cnn"]


def test_folder_of_another_program_is_no_comparison(trained: Any, tmp_path: Path) -> None:
    (tmp_path / "runs" / "events").mkdir(parents=True)
    (tmp_path / "comparison.csv").write_text("mine\n")
    with pytest.raises(InvalidRequest, match="already exists and is not a comparison"):
        make(trained, tmp_path)
