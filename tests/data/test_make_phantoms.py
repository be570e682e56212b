"""The phantom generator: repeatable, anatomically the right way round, and honest about opacities.

Images are rendered small; places are given in the generator's centimetres.
"""

import importlib
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parents[2] / "data"
WIDTH_PX = 160
RIGHT_LUNG, LEFT_LUNG = (-5.5, 10.5), (6.5, 10.5)
SPINE, HEART = (0.0, 15.0), (3.0, 13.5)


@pytest.fixture(scope="module")
def phantoms() -> ModuleType:
    # By its name, by which the processes that draw import it, too.
    return importlib.import_module("make_phantoms")


@pytest.fixture(scope="module")
def clear(phantoms: ModuleType) -> np.ndarray:
    return phantoms.render(phantoms.CLEAR, WIDTH_PX)


def brightness(
    phantoms: ModuleType, image: np.ndarray, place: tuple[float, float], half_cm: float = 0.8
) -> float:
    """Mean grey of a square around `place` (x, z in cm)."""
    pixel = phantoms.FIELD_CM[0] / image.shape[1]
    column = round((place[0] + phantoms.FIELD_CM[0] / 2) / pixel)
    row, half = round(place[1] / pixel), round(half_cm / pixel)
    return float(image[row - half : row + half, column - half : column + half].mean())


def test_image_is_8_bit_grey_of_the_asked_size(phantoms: ModuleType, clear: np.ndarray) -> None:
    height = round(phantoms.FIELD_CM[1] * WIDTH_PX / phantoms.FIELD_CM[0])
    assert clear.dtype == np.uint8
    assert clear.shape == (height, WIDTH_PX)
    assert clear.max() - clear.min() > 128  # neither washed out nor blank


def test_same_seed_gives_the_same_pixels(phantoms: ModuleType, clear: np.ndarray) -> None:
    assert np.array_equal(clear, phantoms.render(phantoms.CLEAR, WIDTH_PX))
    assert not np.array_equal(clear, phantoms.render(replace(phantoms.CLEAR, seed=99), WIDTH_PX))


@pytest.mark.parametrize("lung", [RIGHT_LUNG, LEFT_LUNG])
@pytest.mark.parametrize("solid", [SPINE, HEART])
def test_lungs_are_darker_than_heart_and_spine(
    phantoms: ModuleType,
    clear: np.ndarray,
    lung: tuple[float, float],
    solid: tuple[float, float],
) -> None:
    assert brightness(phantoms, clear, lung) + 40 < brightness(phantoms, clear, solid)


def test_heart_lies_to_the_patients_left(phantoms: ModuleType, clear: np.ndarray) -> None:
    mirror = (-HEART[0] - 1.0, HEART[1])
    here = brightness(phantoms, clear, (HEART[0] + 1.0, HEART[1]))
    assert here > brightness(phantoms, clear, mirror) + 30


def test_opacity_brightens_its_place_and_no_other(phantoms: ModuleType, clear: np.ndarray) -> None:
    patch = phantoms.Opacity(*RIGHT_LUNG, half_width=2.0, half_height=2.0, fill=0.8)
    image = phantoms.render(replace(phantoms.CLEAR, opacities=(patch,)), WIDTH_PX)

    def change(place: tuple[float, float]) -> float:
        return brightness(phantoms, image, place) - brightness(phantoms, clear, place)

    assert change(RIGHT_LUNG) > 25
    for far in (LEFT_LUNG, SPINE, (6.0, 18.5), (9.0, 6.0)):
        assert abs(change(far)) < 4  # scatter and noise only


def test_writes_whole_grey_jpegs_twice_alike(phantoms: ModuleType, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        phantoms.write_phantoms(tmp_path / folder, WIDTH_PX)
    assert {path.name for path in (tmp_path / "a").iterdir()} == set(phantoms.PHANTOMS)
    for name in phantoms.PHANTOMS:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        with Image.open(tmp_path / "a" / name) as image:
            assert (image.format, image.mode) == ("JPEG", "L")


def test_shipped_samples_are_the_generators(phantoms: ModuleType) -> None:
    shipped = sorted((DATA / "samples").glob("phantom_*"))
    assert [path.name for path in shipped] == sorted(phantoms.PHANTOMS)
    assert sum(path.stat().st_size for path in shipped) < 700_000
    for path in shipped:
        with Image.open(path) as image:
            assert (image.mode, image.width) == ("L", phantoms.WIDTH_PX)


@pytest.fixture(scope="module")
def small_dataset(phantoms: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three to four patients of each kind for train, none for test."""
    folder = tmp_path_factory.mktemp("dataset")
    phantoms.write_dataset(folder, width_px=96, share=0.035)
    return folder


def test_data_set_has_the_folders_and_names_of_the_kaggle_set(
    phantoms: ModuleType, small_dataset: Path
) -> None:
    found = sorted(path.relative_to(small_dataset).as_posix() for path in _films(small_dataset))
    name = re.compile(
        r"train/(NORMAL/IM-\d{4}-000\d|PNEUMONIA/person\d+_(bacteria|virus)_\d)\.jpeg"
    )
    assert [path for path in found if not name.fullmatch(path)] == []
    patients = [path.rsplit("-" if "NORMAL" in path else "_", 1)[0] for path in found]
    assert len(found) == phantoms.FILMS_A_PATIENT * len(set(patients))
    assert len(set(patients)) == 3 + 4 + 4


def test_cleaning_keeps_every_film_of_the_data_set_and_knows_its_patient(
    small_dataset: Path, tmp_path: Path
) -> None:
    from cxr_edge_train.cleaning.clean import clean

    result = clean(small_dataset, tmp_path / "clean_metadata.csv")
    assert (result.kept, result.left_out) == (len(_films(small_dataset)), 0)
    assert result.unknown_patients == 0


def test_data_set_is_drawn_twice_alike(
    phantoms: ModuleType, small_dataset: Path, tmp_path: Path
) -> None:
    for patient, kind in ((1, "normal"), (4, "bacteria")):
        phantoms.write_patient(tmp_path / "train", patient, kind, 96)
    assert len(_films(tmp_path)) == 2 * phantoms.FILMS_A_PATIENT
    for path in _films(tmp_path):
        again = small_dataset / path.relative_to(tmp_path)
        assert path.read_bytes() == again.read_bytes()


def test_films_of_a_patient_show_one_body_in_other_framings(
    phantoms: ModuleType, tmp_path: Path
) -> None:
    phantoms.write_patient(tmp_path, 7, "virus", 96)
    sizes = set()
    for path in _films(tmp_path):
        with Image.open(path) as image:
            sizes.add(image.size)
    assert len(sizes) > 1
    assert phantoms.made_up_body(7, "virus") == phantoms.made_up_body(7, "virus")
    assert phantoms.made_up_body(7, "virus") != phantoms.made_up_body(8, "virus")


def test_only_a_normal_body_is_without_opacities(phantoms: ModuleType) -> None:
    for seed in range(20):
        assert phantoms.made_up_body(seed, "normal").opacities == ()
        assert len(phantoms.made_up_body(seed, "bacteria").opacities) == 1
        assert len(phantoms.made_up_body(seed, "virus").opacities) >= 12


def _films(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpeg"))


def test_file_in_the_place_of_the_folder_is_refused(
    phantoms: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("sys.argv", ["make_phantoms.py", "--dataset", str(tmp_path / "file")])
    with pytest.raises(SystemExit, match="2"):
        phantoms.main()
    assert "file: is a file; name the folder to draw into" in capsys.readouterr().err
