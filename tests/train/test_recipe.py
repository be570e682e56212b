from pathlib import Path

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.recipe import (
    Fit,
    Recipe,
    as_recipe,
    parse_recipe,
    read_recipe,
    recipe_as_toml,
    recipe_of_run,
)

RECIPES = Path(__file__).resolve().parents[2] / "models" / "recipes"


def test_left_out_keys_keep_their_defaults() -> None:
    recipe = parse_recipe("[fit]\nepochs = 3\n")
    assert recipe.fit.epochs == 3
    assert recipe.fit.batch_size == Recipe().fit.batch_size
    assert recipe.model == Recipe().model


def test_written_recipe_reads_back_the_same() -> None:
    recipe = parse_recipe("[fit]\nepochs = 3\nlearning_rate = 1e-5\n[model]\nalpha = 0.35\n")
    assert parse_recipe(recipe_as_toml(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fit]\nepoch = 3", "fit.epoch is not a known field; the known ones are batch_size"),
        ("[train]\nepochs = 3", "train is not a known field; the known ones are model"),
        ("[fit]\nepochs = 3.5", "fit.epochs must be an integer, not 3.5"),
        ("[fit]\nepochs = true", "fit.epochs must be an integer, not True"),
        ("[fit]\nepochs = -1", "fit.epochs must be at least 1, not -1"),
        ("[fit]\nbatch_size = 0", "fit.batch_size must be at least 1, not 0"),
        ("[fit]\nlearning_rate = nan", "fit.learning_rate must be a finite number"),
        ("[model]\ndropout = 1.5", "model.dropout must be at most 0.95, not 1.5"),
        ("[augmentation]\nmarker = 2", "augmentation.marker must be at most 1, not 2"),
        ("[fit]\nlearning_rate = 'fast'", "fit.learning_rate must be a number, not"),
        ("[fit]\nprecision = 'half'", "fit.precision must be float32 or mixed, not 'half'"),
        ("fit = 3", "fit must be a section"),
        ("[fit", "not valid TOML"),
        ("fit = " + "[" * 5000, "not valid TOML"),
        ("fit = " + "[" * 300 + "]" * 300, "fit must be a section"),
        ("fit.epochs" + ".a" * 5000 + " = 1", "fit.epochs must be an integer"),
        ("[fit]\nepochs = " + "9" * 5000, "not valid TOML"),
    ],
)
def test_slip_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        parse_recipe(text)


def test_integer_is_a_float_too() -> None:
    assert parse_recipe("[augmentation]\nrotation = 5").augmentation.rotation == 5.0


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no such recipe"):
        read_recipe(tmp_path / "x.toml")


def test_what_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "film.toml").write_bytes(b"\xff\xd8\xff")
    for path in (tmp_path, tmp_path / "film.toml"):
        with pytest.raises(InvalidRequest, match=rf"^{path}: cannot be read \("):
            read_recipe(path)


def test_keys_of_an_earlier_version_are_passed_over_in_a_run_and_refused_in_a_recipe(
    tmp_path: Path,
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("[augmentation]\ntone = 0.5\njpeg = 0.1\n[fit]\nteachers = 3\nepochs = 5\n")
    recipe = recipe_of_run(tmp_path)
    assert (recipe.augmentation.jpeg, recipe.fit.epochs) == (0.1, 5)
    with pytest.raises(
        InvalidRequest,
        match=r"augmentation\.tone is not a known field; the known ones "
        "are",
    ):
        read_recipe(file)


@pytest.mark.parametrize("text", ["fit = 3", "[fit]\nepochs = -1", "[train]", "[fit"])
def test_damaged_recipe_of_a_run_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(InvalidRequest, match=rf"^{tmp_path / 'recipe.toml'}: "):
        recipe_of_run(tmp_path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_shipped_recipe_states_every_key(path: Path) -> None:
    stated = path.read_text()
    for line in recipe_as_toml(read_recipe(path)).splitlines():
        assert line.split(" = ")[0] in stated


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(fit=Fit(epochs="x")), "recipe: fit.epochs must be an integer, not 'x'"),  # type: ignore[arg-type]
        (Recipe(1), "recipe: model must be a section, not 1"),  # type: ignore[arg-type]
    ],
)
def test_recipe_of_the_python_api_is_checked_as_a_file_is(recipe: Recipe, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        as_recipe(recipe)


def test_right_recipe_of_the_python_api_stays_what_it_is() -> None:
    recipe = Recipe(fit=Fit(epochs=3))
    assert as_recipe(recipe) == recipe
