from pathlib import Path
from typing import Any

import pytest

from synthetic import draw_dataset


def test_clean_says_where_both_files_are(cxr_edge: Any, tmp_path: Path) -> None:
    draw_dataset(tmp_path / "data", patients=2)
    outcome = cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"kept 8 images: {tmp_path / 'm.csv'}",
        f"left out 0 files: {tmp_path / 'm.left_out.csv'}",
    ]
    assert outcome.err == ""


def test_unknown_patients_are_warned_of_and_a_pattern_helps(cxr_edge: Any, tmp_path: Path) -> None:
    draw_dataset(tmp_path / "data", patients=2)
    for path in sorted((tmp_path / "data").rglob("*.png")):
        path.rename(path.with_name("case" + path.name.replace("person", "").replace("IM-", "")))
    outcome = cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv")
    assert "the patient of 8 of 8 images is unknown" in outcome.err
    assert "--patient-pattern" in outcome.err
    pattern = r"case(\d+)"
    outcome = cxr_edge(
        "clean", tmp_path / "data", "-o", tmp_path / "m.csv", "--patient-pattern", pattern
    )
    assert outcome.err == ""


@pytest.mark.parametrize("made", [False, True])
def test_folder_without_the_structure_is_one_line(
    cxr_edge: Any, tmp_path: Path, made: bool
) -> None:
    folder = tmp_path / "data"
    if made:
        folder.mkdir()
    outcome = cxr_edge("clean", folder)
    assert outcome.code == 1
    assert outcome.err.startswith(f"cxr-edge: {folder}: ")
    assert outcome.err.count("\n") == 1


def test_broken_pattern_is_wrong_usage(cxr_edge: Any, tmp_path: Path) -> None:
    assert cxr_edge("clean", tmp_path, "--patient-pattern", "(").code == 2
