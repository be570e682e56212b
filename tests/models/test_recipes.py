import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from cxr_edge_train.recipe import read_recipe

RECIPES = sorted((Path(__file__).resolve().parents[2] / "models" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_recipe_states_every_key(file: Path) -> None:
    # A later change of a default must not change a shipped model.
    stated = tomllib.loads(file.read_text())
    assert stated == asdict(read_recipe(file))
