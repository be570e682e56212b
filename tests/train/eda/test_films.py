from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.dataset.metadata import read_metadata
from cxr_edge_train.eda import films as module
from cxr_edge_train.eda.films import augmentation_preview, random_samples
from cxr_edge_train.recipe import Augmentation, Model, Recipe
from synthetic import draw_dataset


@pytest.fixture
def films(tmp_path: Path) -> pd.DataFrame:
    clean(draw_dataset(tmp_path / "data", patients=3), tmp_path / "m.csv")
    return read_metadata(tmp_path / "m.csv")


def preview(films: pd.DataFrame, root: Path, name: str, **choices: Any) -> bytes:
    file = root / name
    recipe = choices.get("recipe", Recipe())
    augmentation_preview(
        films, recipe, recipe_name="r", root=root, seed=choices.get("seed", 0), file=file
    )
    return file.read_bytes()


def test_samples_are_the_first_of_each_label(films: pd.DataFrame, tmp_path: Path) -> None:
    files = {label: tmp_path / f"{label}.png" for label in ("NORMAL", "PNEUMONIA")}
    section = random_samples(films, root=tmp_path, files=files)
    listed = section.tables[0].rows
    assert len(listed) == module.SAMPLES
    assert [row[1] for row in listed] == list(
        films["path"][films["label"] == "NORMAL"][: module.SAMPLES]
    )
    assert [picture.file for picture in section.pictures] == list(files.values())


def test_label_with_fewer_samples_leaves_places_empty(films: pd.DataFrame, tmp_path: Path) -> None:
    few = pd.concat([films[films["label"] == "NORMAL"][:1], films[films["label"] != "NORMAL"][:4]])
    files = {label: tmp_path / f"{label}.png" for label in ("NORMAL", "PNEUMONIA")}
    section = random_samples(few, root=tmp_path, files=files)
    assert [row[1] != "" for row in section.tables[0].rows] == [True] + [False] * 3
    assert section.pictures[0].caption.startswith("1 random NORMAL films")


def test_preview_follows_seed_and_recipe(films: pd.DataFrame, tmp_path: Path) -> None:
    first = preview(films, tmp_path, "a.png")
    assert preview(films, tmp_path, "b.png") == first
    assert preview(films, tmp_path, "c.png", seed=1) != first
    nothing = Augmentation(**{field.name: 0.0 for field in fields(Augmentation)})
    assert preview(films, tmp_path, "d.png", recipe=Recipe(augmentation=nothing)) != first


def test_preview_says_what_differs_from_the_defaults(films: pd.DataFrame, tmp_path: Path) -> None:
    section = augmentation_preview(
        films,
        Recipe(model=Model(image_size=32), augmentation=Augmentation(rotation=45.0)),
        recipe_name="mine.toml",
        root=tmp_path,
        seed=0,
        file=tmp_path / "f.png",
    )
    assert section.paragraphs[0].startswith("Recipe: mine.toml.")
    assert ["rotation", "45", "10"] in section.tables[0].rows
    assert len(section.tables[0].rows) == len(fields(Augmentation))
    assert "32 x 32 pixels" in section.pictures[0].caption
