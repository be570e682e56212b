from pathlib import Path
from typing import Any

from cxr_edge_train.eda.counts import class_counts, class_weights


def test_images_and_patients_are_counted_by_split_label_and_kind(rows: Any, tmp_path: Path) -> None:
    table = rows(
        ("train", "NORMAL", "a"), ("train", "NORMAL", "a"), ("train", "PNEUMONIA", "b"),
        ("test", "NORMAL", ""), ("test", "NORMAL", ""), ("test", "PNEUMONIA", "c"),
    )  # fmt: skip
    section = class_counts(table, tmp_path / "f.png")
    assert section.tables[0].rows == [
        ["train", "NORMAL", "normal", "2", "1"],
        ["train", "PNEUMONIA", "virus", "1", "1"],
        ["test", "NORMAL", "normal", "2", "2"],
        ["test", "PNEUMONIA", "virus", "1", "1"],
    ]
    assert "33.3% of train, 33.3% of test" in section.pictures[0].caption
    assert "0.0 points apart" in section.pictures[0].caption


def test_without_test_nothing_is_compared_with_it(rows: Any, tmp_path: Path) -> None:
    table = rows(("train", "NORMAL", "a"), ("val", "PNEUMONIA", "b"))
    caption = class_counts(table, tmp_path / "f.png").pictures[0].caption
    assert "0.0% of train, 100.0% of val" in caption
    assert "apart" not in caption


def test_weights_are_those_of_training_with_their_formula(rows: Any) -> None:
    table = rows(*[("train", "NORMAL", "")] * 2, *[("train", "PNEUMONIA", "")] * 6)
    section = class_weights(table)
    assert section.tables[0].rows == [
        ["NORMAL", "2", "25.0%", "8 / (2 x 2) = 2.000", "50.0%"],
        ["PNEUMONIA", "6", "75.0%", "8 / (2 x 6) = 0.667", "50.0%"],
    ]
