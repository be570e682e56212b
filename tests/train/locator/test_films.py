import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError, ImageError
from cxr_edge_runtime.preprocess import locator_input
from cxr_edge_train.dataset.metadata import read_metadata, read_splits
from cxr_edge_train.locator.films import OutlinedFilms


@pytest.fixture
def masks(outlined: Any, tmp_path: Path) -> Path:
    """A copy of the masks, to be spoilt."""
    return Path(shutil.copytree(outlined.masks, tmp_path / "masks"))


@pytest.fixture(scope="module")
def table(outlined: Any) -> pd.DataFrame:
    return read_splits(outlined.splits, read_metadata(outlined.metadata))


def empty(mask: Path) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(mask)


def of_split(table: pd.DataFrame, split: str, masks: Path) -> Path:
    """The mask of the first normal film of a split."""
    rows = table[(table["split"] == split) & (table["label"] == "NORMAL")]
    return masks / "NORMAL" / f"{Path(rows.iloc[0]['path']).stem}.png"


def test_test_films_and_their_masks_are_never_looked_at(table: pd.DataFrame, masks: Path) -> None:
    first = table[table["split"] == "test"].iloc[0]
    (masks / f"{Path(first['path']).stem}.png").write_bytes(b"no picture")
    films = OutlinedFilms.of(table, masks)
    assert set(films.table["split"]) == {"train", "validation"}
    assert films.without_mask == 0


def test_films_without_a_mask_or_with_an_empty_one_are_left_out_and_counted(
    table: pd.DataFrame, masks: Path
) -> None:
    whole = OutlinedFilms.of(table, masks)
    without, *_, blank = sorted((masks / "PNEUMONIA").iterdir())
    kept = {Path(path).stem: path for path in table["path"]}
    train = set(table.loc[table["split"] == "train", "path"])
    assert {kept[without.stem], kept[blank.stem]} <= train
    without.unlink()
    empty(blank)
    films = OutlinedFilms.of(table, masks)
    assert films.without_mask == 2
    assert len(films.table) == len(films.masks) == len(whole.table) - 2
    assert not {without.stem, blank.stem} & {Path(path).stem for path in films.table["path"]}
    assert films.masks.any(axis=(1, 2)).all()


def test_fewer_than_ten_films_of_a_label_are_refused(table: pd.DataFrame, masks: Path) -> None:
    empty(of_split(table, "validation", masks))
    with pytest.raises(
        DatasetError, match=r"masks: 9 NORMAL films of the validation split .*white is lung"
    ):
        OutlinedFilms.of(table, masks)


def test_masks_whose_white_is_not_the_lungs_are_refused(table: pd.DataFrame, masks: Path) -> None:
    files = sorted(masks.rglob("*.png"))
    for file in files[: len(files) // 2]:
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    # A few may be anything.
    assert OutlinedFilms.of(table, masks).without_mask == 0
    last = files[-1]
    Image.fromarray(255 - np.asarray(Image.open(last))).save(last)
    with pytest.raises(
        DatasetError,
        match=r"masks: 61 of 120 masks are white in a corner of the film, where no lung is; "
        r"white must be lung: invert the masks",
    ):
        OutlinedFilms.of(table, masks)


def test_damaged_mask_is_named(table: pd.DataFrame, masks: Path) -> None:
    damaged = of_split(table, "train", masks)
    damaged.write_bytes(damaged.read_bytes()[:60])
    with pytest.raises(ImageError, match=damaged.name):
        OutlinedFilms.of(table, masks)


def test_digest_is_that_of_films_and_masks(table: pd.DataFrame, masks: Path) -> None:
    digest = OutlinedFilms.of(table, masks).digest
    assert OutlinedFilms.of(table.sample(frac=1, random_state=0), masks).digest == digest
    mask = of_split(table, "train", masks)
    Image.fromarray(np.asarray(Image.open(mask))[:, ::-1]).save(mask)
    assert OutlinedFilms.of(table, masks).digest != digest


def test_locator_gets_films_as_a_device_shows_them(
    outlined: Any, table: pd.DataFrame, masks: Path, tmp_path: Path
) -> None:
    films = OutlinedFilms.of(table, masks).split("validation")
    inputs = films.locator_inputs(root=outlined.root)
    assert (inputs.shape, inputs.dtype) == ((20, 128, 128, 1), np.uint8)
    film = np.asarray(Image.open(outlined.root / films.table.iloc[3]["path"]))
    assert np.array_equal(inputs[3], locator_input(film)[0])
    pixels = films.films(root=outlined.root, cache_dir=tmp_path)
    assert pixels.shape == films.masks.shape
    # Lungs are dark.
    assert pixels[films.masks == 255].mean() + 60 < pixels[films.masks == 0].mean()


def test_outlines_are_shares_of_cells(table: pd.DataFrame, masks: Path) -> None:
    films = OutlinedFilms.of(table, masks)
    outlines = films.outlines
    assert (outlines.shape[1:], outlines.dtype) == ((32, 32), np.float32)
    assert outlines.max() == 1.0
    assert outlines.mean() == pytest.approx(films.masks.mean() / 255, abs=1e-6)
