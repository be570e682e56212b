import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from synthetic import draw_dataset


def test_clean_prints_the_flow_the_verdicts_and_where_the_files_are(
    cxr_edge: Any, tmp_path: Path
) -> None:
    draw_dataset(tmp_path / "data", patients=2, test_patients=1)
    (tmp_path / "data" / "train" / "NORMAL" / "broken.png").write_text("broken")
    outcome = cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[:5] == [
        "split  label       found  readable  unique   kept",
        "train  NORMAL          5         4       4      4",
        "train  PNEUMONIA       4         4       4      4",
        "test   NORMAL          2         2       2      2",
        "test   PNEUMONIA       2         2       2      2",
    ]
    assert lines[5].startswith("near-duplicates: ")
    assert lines[6].startswith("leaks: ")
    assert lines[7].startswith("shortcuts: not_checked. Not checked: a label has 2 patients")
    assert lines[8:] == [
        f"kept 12 images: {tmp_path / 'm.csv'}",
        f"left out 1 file: {tmp_path / 'm.left_out.csv'}",
        f"report: {tmp_path / 'm.report.json'}",
        f"next: cxr-edge eda {tmp_path / 'm.csv'} -o eda",
    ]
    assert outcome.err == ""


def test_json_is_the_report(cxr_edge: Any, tmp_path: Path) -> None:
    draw_dataset(tmp_path / "data", patients=2)
    outcome = cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out) == json.loads((tmp_path / "m.report.json").read_text())


@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 4)])
def test_leak_ends_with_4_when_strict_and_everything_is_written(
    cxr_edge: Any, tmp_path: Path, strict: list[str], code: int
) -> None:
    folder = draw_dataset(tmp_path / "data", patients=2, test_patients=1)
    name = "IM-0001-0000.png"
    shutil.copy(folder / "train" / "NORMAL" / name, folder / "test" / "NORMAL" / name)
    outcome = cxr_edge("clean", folder, "-o", tmp_path / "m.csv", *strict)
    assert ("next:" in outcome.out) is not bool(strict)
    assert outcome.code == code
    assert "leaks: leak. As found, the training and test folders share 1 patient," in outcome.out
    assert (tmp_path / "m.report.json").exists()
    assert (tmp_path / "m.csv").exists()
    assert outcome.err == (
        "cxr-edge: test holds what training has seen, and --strict allows no leak\n"
        if strict
        else ""
    )


def test_unusable_cache_is_a_warning(
    cxr_edge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_dataset(tmp_path / "data", patients=2)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    outcome = cxr_edge("clean", tmp_path / "data", "-o", tmp_path / "m.csv")
    assert outcome.code == 0
    assert outcome.err.startswith("warning: ")
    assert "every image is read" in outcome.err
    assert outcome.err.count("\n") == 1


def test_empty_label_folder_is_one_line(cxr_edge: Any, tmp_path: Path) -> None:
    folder = draw_dataset(tmp_path / "data", patients=2)
    (folder / "test" / "NORMAL").mkdir(parents=True)
    outcome = cxr_edge("clean", folder, "-o", tmp_path / "m.csv")
    assert outcome.code == 1
    empty = folder / "test" / "NORMAL"
    assert outcome.err == (
        f"cxr-edge: {empty}: the folder holds no files; put images there, or remove it\n"
    )


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
