import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clouds import draw_clouds
from cxr_edge_convert.quantization.calibration_images import (
    calibration_digest,
    calibration_sets,
    choose_calibration_images,
    images_of_folder,
)
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.dataset.class_names import KERMANY


def table(*, patients: int, images: int = 3, positives: int | None = None) -> pd.DataFrame:
    rows = [
        {
            "path": f"{label}-{patient}-{image}",
            "md5": f"{label}-{patient}-{image}",
            "label": label,
            "patient": f"{label}-{patient}",
        }
        for label, count in (("NORMAL", patients), ("PNEUMONIA", positives or patients))
        for patient in range(count)
        for image in range(images)
    ]
    return pd.DataFrame(rows)


def drawn(rows: pd.DataFrame, *, count: int = 300, seed: int = 0) -> pd.DataFrame:
    return choose_calibration_images(rows, count=count, seed=seed)[0]


def test_classes_are_interleaved_and_alike() -> None:
    chosen = drawn(table(patients=200))
    assert len(chosen) == 300
    assert chosen["label"].tolist() == ["NORMAL", "PNEUMONIA"] * 150


def test_no_patient_gives_a_second_image_before_all_gave_one() -> None:
    assert drawn(table(patients=200))["patient"].is_unique
    assert drawn(table(patients=120))["patient"].value_counts().max() == 2


def test_seed_decides_and_order_of_the_table_does_not() -> None:
    rows = table(patients=200)
    first = drawn(rows)
    again = drawn(rows.sample(frac=1, random_state=9))
    assert first["path"].tolist() == again["path"].tolist()
    assert calibration_digest(first) != calibration_digest(drawn(rows, seed=1))


def test_digest_does_not_depend_on_the_order() -> None:
    chosen = drawn(table(patients=200))
    assert calibration_digest(chosen) == calibration_digest(chosen[::-1])


def test_second_draw_is_as_large_and_has_no_image_of_the_first() -> None:
    first, second = choose_calibration_images(table(patients=200), count=300, seed=0)
    assert len(second) == 300
    assert set(first["path"]).isdisjoint(second["path"])
    assert second["label"].tolist() == ["NORMAL", "PNEUMONIA"] * 150


def test_second_draw_needs_the_least_number_of_images_too() -> None:
    assert len(choose_calibration_images(table(patients=58, images=3), count=300, seed=0)) == 1
    first, second = choose_calibration_images(table(patients=59, images=3), count=300, seed=0)
    assert (len(first), len(second)) == (300, 54)


def test_second_draw_is_balanced_even_where_one_class_is_scarce() -> None:
    scarce = table(patients=60, images=3, positives=300)
    first, second = choose_calibration_images(scarce, count=300, seed=0)
    assert second["label"].tolist() == ["NORMAL", "PNEUMONIA"] * 30
    assert set(first["path"]).isdisjoint(second["path"])


def test_too_few_images_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="at least 25 images of each label, not 24"):
        drawn(table(patients=8))


def test_one_class_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="both labels; there are only NORMAL"):
        drawn(table(patients=200).query("label == 'NORMAL'"))


def folder_of_films(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        grey = np.random.default_rng(number).integers(0, 256, (64, 64)).astype(np.uint8)
        Image.fromarray(grey).save(folder / name)
    return folder


def test_folder_of_films_without_labels_is_one_class(tmp_path: Path) -> None:
    rows = images_of_folder(
        folder_of_films(tmp_path, *(f"{n:03}.png" for n in range(120))), KERMANY
    )
    assert set(rows["label"]) == {""}
    first, second = choose_calibration_images(rows, count=60, seed=0)
    assert (len(first), len(second)) == (60, 60)
    assert first["path"].tolist() != sorted(first["path"])


def test_labels_of_a_folder_come_from_its_folders(tmp_path: Path) -> None:
    names = [f"{label}/{n}.png" for label in ("NORMAL", "PNEUMONIA") for n in range(30)]
    folder_of_films(tmp_path, *names)
    (tmp_path / "notes.txt").write_text("no film")
    rows = images_of_folder(tmp_path, KERMANY)
    assert rows["label"].value_counts().to_dict() == {"NORMAL": 30, "PNEUMONIA": 30}
    assert drawn(rows, count=50)["label"].tolist() == ["NORMAL", "PNEUMONIA"] * 25


def test_folder_of_one_label_is_one_class_and_refused(tmp_path: Path) -> None:
    names = [f"normal/{n}.png" for n in range(60)]
    rows = images_of_folder(folder_of_films(tmp_path, *names) / "normal", KERMANY)
    assert set(rows["label"]) == {"NORMAL"}
    with pytest.raises(InvalidRequest, match="both labels; there are only NORMAL"):
        drawn(rows)


def test_film_outside_the_labels_folders_is_named(tmp_path: Path) -> None:
    folder_of_films(tmp_path, "NORMAL/a.png", "PNEUMONIA/b.png", "c.png")
    with pytest.raises(InvalidRequest, match=r"c\.png: lies in neither"):
        images_of_folder(tmp_path, KERMANY)


def test_same_film_twice_counts_once(tmp_path: Path) -> None:
    folder_of_films(tmp_path, "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert images_of_folder(tmp_path, KERMANY)["path"].tolist() == ["a.png"]


def test_film_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder_of_films(tmp_path, "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(InvalidRequest, match=r"b\.png: .*; remove it from the folder"):
        images_of_folder(tmp_path, KERMANY)
    with pytest.raises(InvalidRequest, match="no such folder"):
        images_of_folder(tmp_path / "gone", KERMANY)


def test_validation_calibrates_nothing(tiny_source: Source) -> None:
    draws = calibration_sets(tiny_source, None, count=300, seed=0)
    assert len(draws) == 2
    for draw in draws:
        assert len(draw.pixels) == 300
        for film in tiny_source.validation_pixels:
            assert not (draw.pixels == film).all(axis=(1, 2, 3)).any()


def test_folder_may_not_show_validation_images(
    tiny_source: Source, trained: Any, tmp_path: Path
) -> None:
    draw_clouds(tmp_path, 60)
    [draw] = calibration_sets(tiny_source, tmp_path, count=300, seed=0)
    assert len(draw.pixels) == 60
    film = trained.root / tiny_source.validation.table["path"][0]
    copy = Path(shutil.copy(film, tmp_path / "NORMAL"))
    with pytest.raises(
        InvalidRequest, match=r"and 0 more show validation images; .* so remove them"
    ):
        calibration_sets(tiny_source, tmp_path, count=300, seed=0)
    # Other bytes and another size, the same film.
    copy.unlink()
    for label in ("NORMAL", "PNEUMONIA"):  # both labels give as many
        with Image.open(film) as image:
            image.resize((128, 128)).save(tmp_path / label / "again.jpeg", quality=80)
    with pytest.raises(InvalidRequest, match=r"again\.jpeg and .* more show validation images"):
        calibration_sets(tiny_source, tmp_path, count=300, seed=0)
