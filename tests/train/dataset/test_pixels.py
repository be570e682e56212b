import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_edge_convert.sources import Images
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.locator import Locator, Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.dataset.metadata import read_metadata
from cxr_edge_train.dataset.pixels import load_pixels
from cxr_edge_train.evaluation.predictions import model_input
from cxr_edge_train.progress import no_progress
from locators import TWO_LUNGS, drawn_film, make_locator
from synthetic import draw_dataset

SPEC = PreprocessSpec(32, 40)
PREPARE = Preprocessor(SPEC)


@pytest.fixture
def rows(tmp_path: Path) -> pd.DataFrame:
    clean(draw_dataset(tmp_path / "data", patients=2), tmp_path / "m.csv")
    return read_metadata(tmp_path / "m.csv")


def test_pixels_are_those_of_the_runtime(rows: pd.DataFrame, tmp_path: Path) -> None:
    pixels = load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")
    assert pixels.shape == (len(rows), 32, 40, 1)
    assert pixels.dtype == np.uint8
    for index, path in enumerate(rows["path"]):
        expected = preprocess(load_grey(tmp_path / path).pixels, SPEC)[0]
        np.testing.assert_array_equal(pixels[index], expected)


def test_second_call_reads_no_image(rows: pd.DataFrame, tmp_path: Path) -> None:
    first = np.array(load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache"))
    for path in rows["path"]:
        (tmp_path / path).unlink()
    again = load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(first, again)


def test_another_size_never_meets_old_pixels(rows: pd.DataFrame, tmp_path: Path) -> None:
    load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")
    smaller = Preprocessor(PreprocessSpec(16, 16))
    other = load_pixels(rows, smaller, root=tmp_path, cache_dir=tmp_path / "cache")
    assert other.shape[1:3] == (16, 16)


def test_pixels_of_a_lung_locator_are_those_of_the_box_and_of_that_locator_alone(
    rows: pd.DataFrame, tmp_path: Path, locator: Any
) -> None:
    spec = PreprocessSpec.of_version(2, size=32)
    wider = make_locator(tmp_path / "wider", margin=1.5)
    found = {}
    for name, locator_ in (("narrow", locator), ("wide", wider)):
        prepare = Preprocessor(spec, locator_.locator())
        pixels = load_pixels(rows, prepare, root=tmp_path, cache_dir=tmp_path / "cache")
        films = [prepare(load_grey(tmp_path / path).pixels) for path in rows["path"]]
        np.testing.assert_array_equal(pixels, np.concatenate([film.model_input for film in films]))
        assert any(film.box for film in films)
        found[name] = pixels
    assert not np.array_equal(found["narrow"], found["wide"])
    another = Locator(prepare.locator._engine, margin=1.5, sha256="0" * 64)
    load_pixels(rows, Preprocessor(spec, another), root=tmp_path, cache_dir=tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "pixels").iterdir())) == 3


def test_large_jpeg_is_reduced_in_training_and_evaluation_as_on_a_device(
    tmp_path: Path, locator: Any
) -> None:
    film = np.kron(drawn_film(*TWO_LUNGS), np.ones((6, 6), np.uint8))
    path = tmp_path / "film.jpeg"
    Image.fromarray(film).save(path)
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    prepare = Preprocessor(PreprocessSpec.of_version(2, size=128), locator.locator())
    # As the classifier does; see tests/runtime/test_classifier.py.
    expected = prepare(load_grey(path, least_side=prepare.least_side).pixels).model_input
    assert not np.array_equal(expected, prepare(load_grey(path).pixels).model_input)
    rows = pd.DataFrame({"path": ["film.jpeg"], "md5": [md5]})
    pixels = load_pixels(rows, prepare, root=tmp_path, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(model_input(path, md5, prepare), expected)
    images = Images(prepare, tmp_path, tmp_path / "cache", no_progress)
    [whole] = images.films(rows)
    np.testing.assert_array_equal(prepare(whole).model_input, expected)


def test_image_changed_after_cleaning_is_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    Image.new("L", (64, 64)).save(tmp_path / rows["path"][1])
    with pytest.raises(DatasetError, match=f"{rows['path'][1]}: changed since it was cleaned"):
        load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache" / "pixels").iterdir()) == []


def test_image_gone_is_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / rows["path"][0]).unlink()
    with pytest.raises(
        DatasetError, match=r"no such file; if the images were moved, give the folder"
    ):
        load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("size", [0, 50, 200])
def test_damaged_cache_is_made_anew(rows: pd.DataFrame, tmp_path: Path, size: int) -> None:
    first = np.array(load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache"))
    [file] = (tmp_path / "cache" / "pixels").iterdir()
    file.write_bytes(file.read_bytes()[:size])
    again = load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(first, again)


def test_cache_of_other_numbers_is_made_anew(rows: pd.DataFrame, tmp_path: Path) -> None:
    first = np.array(load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache"))
    [file] = (tmp_path / "cache" / "pixels").iterdir()
    np.save(file, first.astype(np.int16))
    again = load_pixels(rows, PREPARE, root=tmp_path, cache_dir=tmp_path / "cache")
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(first, again)


_ON_A_SMALL_DISK = """
import resource, sys
from pathlib import Path
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.dataset.metadata import read_metadata
from cxr_edge_train.dataset.pixels import load_pixels

root = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    load_pixels(
        read_metadata(root / "m.csv"),
        Preprocessor(PreprocessSpec(32, 40)),
        root=root,
        cache_dir=root / "cache",
    )
except OSError as error:
    print(type(error).__name__)
"""


def test_file_that_cannot_grow_is_an_error_and_leaves_nothing(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    # As on a full disk: writing fails, where a memory map would end the process with a signal.
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_SMALL_DISK, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "OSError"), done.stderr
    assert list((tmp_path / "cache" / "pixels").iterdir()) == []
