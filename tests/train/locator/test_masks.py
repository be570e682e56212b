from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.locator.masks import FILM_SIDE, read_masks, with_masks


def films(*paths: str) -> pd.DataFrame:
    return pd.DataFrame({"path": paths})


def write_mask(path: Path, pixels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((64, 64), np.uint8) if pixels is None else pixels).save(path)
    return path


def test_mask_is_found_by_name_whatever_its_folder(tmp_path: Path) -> None:
    mask = write_mask(tmp_path / "deep" / "er" / "one.png")
    found = with_masks(films("NORMAL/one.jpeg", "NORMAL/two.jpeg"), tmp_path)
    assert found[["path", "mask"]].to_numpy().tolist() == [["NORMAL/one.jpeg", str(mask)]]


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing: no such folder of masks"):
        with_masks(films("one.jpeg"), tmp_path / "nothing")


def test_masks_of_other_films_are_refused_with_the_name_that_was_looked_for(tmp_path: Path) -> None:
    write_mask(tmp_path / "one_mask.png")
    with pytest.raises(DatasetError, match=r"no mask has the name of a film, such as one\.png"):
        with_masks(films("one.jpeg"), tmp_path)


def test_two_masks_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_mask(tmp_path / folder / "one.png")
    with pytest.raises(DatasetError, match=r"two masks have the name one\.png"):
        with_masks(films("one.jpeg"), tmp_path)


def test_masks_of_films_that_are_not_there_do_not_matter(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_mask(tmp_path / folder / "other.png")
    mask = write_mask(tmp_path / "one.PNG")
    assert with_masks(films("one.jpeg"), tmp_path)["mask"].tolist() == [str(mask)]


def test_two_films_never_share_a_mask(tmp_path: Path) -> None:
    write_mask(tmp_path / "one.png")
    with pytest.raises(DatasetError, match=r"2 films have the name of the mask one\.png"):
        with_masks(films("NORMAL/one.jpeg", "PNEUMONIA/one.jpeg"), tmp_path)


def test_mask_is_squashed_to_the_films_side(tmp_path: Path) -> None:
    upper = np.zeros((100, 300), np.uint8)
    upper[:50] = 255
    found = read_masks(pd.Series([str(write_mask(tmp_path / "one.png", upper))]))
    assert (found.shape, found.dtype) == ((1, FILM_SIDE, FILM_SIDE), np.uint8)
    assert found[0, :112].min() == 255
    assert found[0, 112:].max() == 0
