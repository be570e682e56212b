from pathlib import Path
from typing import Any

from cxr_edge_train.eda.patients import images_per_patient


def test_patients_with_several_images_are_counted(rows: Any, tmp_path: Path) -> None:
    table = rows(
        *[("train", "PNEUMONIA", "b")] * 12, ("train", "NORMAL", "a"), ("train", "NORMAL", "b")
    )
    section = images_per_patient(table, tmp_path / "f.png")
    assert section.paragraphs[0] == (
        "2 patients are known by the file names. 1 of them have more than one image; together "
        "these have 13 of 14 images. The largest number is 13 (b)."
    )
    assert section.paragraphs[-1].startswith("1 patients have images of both labels")
    assert section.alarm == ""
    assert section.pictures[0].file.exists()


def test_unknown_patients_raise_the_alarm(rows: Any, tmp_path: Path) -> None:
    table = rows(("train", "NORMAL", ""), ("train", "NORMAL", "a"))
    section = images_per_patient(table, tmp_path / "f.png")
    assert "unknown" in section.alarm
    assert "1 of 2 images" in section.alarm
    assert len(section.paragraphs) == 1


def test_nothing_is_drawn_when_no_patient_is_known(rows: Any, tmp_path: Path) -> None:
    section = images_per_patient(rows(("train", "NORMAL", "")), tmp_path / "f.png")
    assert section.pictures == ()
    assert not (tmp_path / "f.png").exists()
