from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from cxr_edge_convert.artifacts.out_of_distribution import read_out_of_distribution
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.locator_folder import LocatorFolder
from locators import film_without_lungs, lung_film

PREPARE = Preprocessor(PreprocessSpec(height=32, width=32))


def test_readable_things_keep_their_category(
    make_image: Callable[..., Path], tmp_path: Path
) -> None:
    for seed in range(20):
        make_image(f"{'knees' if seed % 2 else 'photos/cats'}/{seed}.png", seed=seed)
    (tmp_path / "knees" / "broken.png").write_bytes(b"no image")
    (tmp_path / "knees" / "notes.txt").write_text("no image either")
    things = read_out_of_distribution(tmp_path, PREPARE)
    assert things.inputs.shape == (20, 32, 32, 1)
    assert sorted(set(things.categories)) == ["knees", "photos/cats"]
    assert things.unreadable == 1


def test_what_the_files_show_against_a_film_is_kept(tmp_path: Path) -> None:
    for grey in range(2):
        Image.new("RGB", (400, 100), (200, grey, 0)).save(tmp_path / f"{grey}.png")
    things = read_out_of_distribution(tmp_path, PREPARE)
    assert set(things.categories) == {"."}
    for words in things.objections:
        assert words == ("colour image", "unusual aspect ratio (400x100)")


def test_things_without_lungs_are_objected_to(tmp_path: Path, locator: LocatorFolder) -> None:
    prepare = Preprocessor(PreprocessSpec.of_version(2, size=32), locator.locator())
    for name, film in (("lungs", lung_film(0)[0]), ("none", film_without_lungs())):
        Image.fromarray(film).save(tmp_path / f"{name}.png")
    things = read_out_of_distribution(tmp_path, prepare)
    # The bright noise is dark in its negative, which this locator takes for lung.
    assert [found[:1] for found in things.objections] == [(), ("no lungs found",)]
    assert things.without_lungs == 1


def test_folder_without_usable_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no readable image"):
        read_out_of_distribution(tmp_path, PREPARE)
    with pytest.raises(InvalidRequest, match="no such folder"):
        read_out_of_distribution(tmp_path / "nowhere", PREPARE)
