from pathlib import Path
from typing import Any

from cxr_edge_train.eda.sizes import image_sizes

ROWS = [("train", "NORMAL", "")] * 30 + [("train", "PNEUMONIA", "")] * 30
TEST = [("test", "NORMAL", "")] * 30


def test_sizes_that_tell_the_label_are_told(rows: Any, tmp_path: Path) -> None:
    table = rows(*ROWS, width=[*range(100, 130), *range(200, 230)], height=100)
    section = image_sizes(table, tmp_path / "s.png", tmp_path / "a.png")
    assert section.tables[0].rows == [
        ["train", "NORMAL", "30", "30", "114 (100 to 129)", "100 (100 to 100)",
         "1.15 (1.00 to 1.29)"],
        ["train", "PNEUMONIA", "30", "30", "214 (200 to 229)", "100 (100 to 100)",
         "2.15 (2.00 to 2.29)"],
    ]  # fmt: skip
    for picture in section.pictures:
        assert "Youden's J 1.00" in picture.caption
        assert picture.file.exists()


def test_one_size_of_all_is_drawn_and_said(rows: Any, tmp_path: Path) -> None:
    section = image_sizes(rows(*ROWS), tmp_path / "s.png", tmp_path / "a.png")
    assert all("the same for all images" in picture.caption for picture in section.pictures)


def test_what_tells_the_labels_apart_is_not_measured_on_test(rows: Any, tmp_path: Path) -> None:
    table = rows(*ROWS, *TEST, width=[100] * 60 + [300] * 30)
    section = image_sizes(table, tmp_path / "s.png", tmp_path / "a.png")
    assert all("the same for all images" in picture.caption for picture in section.pictures)
    assert [row[0] for row in section.tables[0].rows] == ["train", "train", "test"]
