import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cleaning_report import report
from cxr_edge_train.eda.cleaning import cleaning_sections
from cxr_edge_train.reporting.page import Section


def sections(tmp_path: Path, table: pd.DataFrame, values: Any = None) -> list[Section]:
    if values is not None:
        (tmp_path / "m.report.json").write_text(json.dumps(values))
    return cleaning_sections(tmp_path / "m.csv", table, folder=tmp_path)


@pytest.fixture
def table(rows: Any) -> pd.DataFrame:
    table: pd.DataFrame = rows(("train", "NORMAL", ""), *[("test", "PNEUMONIA", "")] * 2)
    return table


KEPT = [("train", "NORMAL", 1), ("test", "PNEUMONIA", 2)]


def test_without_a_report_each_section_says_how_to_make_it(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    for section in sections(tmp_path, table):
        assert section.paragraphs == ["m.report.json is missing; run cxr-edge clean again."]


def test_report_of_other_images_is_not_shown(tmp_path: Path, table: pd.DataFrame) -> None:
    for section in sections(tmp_path, table, report([("train", "NORMAL", 5)])):
        assert "does not match the metadata" in section.paragraphs[0]


def test_flow_shows_what_each_step_took(tmp_path: Path, table: pd.DataFrame) -> None:
    flow, near, leaks, shortcuts = sections(tmp_path, table, report(KEPT))
    assert flow.tables[0].rows == [
        ["train", "NORMAL", "4", "2 (-2)", "1 (-1)", "1"],
        ["test", "PNEUMONIA", "5", "3 (-2)", "2 (-1)", "2"],
        ["all", "", "9", "5 (-4)", "3 (-2)", "3"],
    ]
    assert near.paragraphs[0] == "Found: 0 pairs, 0 across splits, 0 across labels."
    assert near.tables == []
    assert leaks.paragraphs[0] == "Verdict: none. Words about leaks."
    assert leaks.alarm == shortcuts.alarm == ""
    assert shortcuts.pictures == []


def test_long_lists_are_cut_and_say_so(tmp_path: Path, table: pd.DataFrame) -> None:
    _, near, leaks, _ = sections(
        tmp_path, table, report(KEPT, near=30, patients=tuple(map(str, range(40))))
    )
    assert near.paragraphs[0] == "Found: 30 pairs, 0 across splits, 1 across labels."
    assert near.paragraphs[-1] == "30 were found; the first 25 are listed."
    assert len(near.tables[0].rows) == len(leaks.tables[0].rows) == 25
    assert leaks.alarm == "Verdict: leak. Words about leaks."
    assert leaks.paragraphs[-1] == "40 were found; the first 25 are listed."
    assert not any("Verdict" in paragraph for paragraph in leaks.paragraphs)


def test_shortcut_beyond_the_limit_is_named(tmp_path: Path, table: pd.DataFrame) -> None:
    values = report(KEPT, features={"width": 0.9, "jpeg_step": 0.5}, verdict="alarm")
    shortcuts = sections(tmp_path, table, values)[3]
    assert shortcuts.alarm == "Verdict: alarm. Words about shortcuts."
    assert shortcuts.tables[0].rows[1] == ("width", "0.900 [0.880, 0.920]", "100")
    assert shortcuts.tables[0].rows[2][0] == "JPEG quantisation step"
    assert shortcuts.pictures[0].caption.endswith("Beyond the limit of 0.65: all together, width.")
    assert (tmp_path / "shortcuts.png").exists()


def test_shortcuts_that_were_not_checked_are_called_so(tmp_path: Path, table: pd.DataFrame) -> None:
    shortcuts = sections(tmp_path, table, report(KEPT, verdict="not_checked"))[3]
    assert shortcuts.paragraphs[0] == "Verdict: not checked. Words about shortcuts."
    assert shortcuts.tables == []
