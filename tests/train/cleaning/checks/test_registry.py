"""A check is known to the report, the terminal and the page by its entry in the registry alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.commands.clean import clean as clean_command
from cxr_edge_train.cleaning.checks import registry
from cxr_edge_train.cleaning.checks.check import Check, CheckContext, IntervalPlot, Summary
from cxr_edge_train.cleaning.checks.leaks import CHECK as LEAKS
from cxr_edge_train.cleaning.clean import clean
from cxr_edge_train.cleaning.report import read_cleaning_report
from cxr_edge_train.dataset.metadata import read_metadata
from cxr_edge_train.eda.cleaning import cleaning_sections
from cxr_edge_train.statistics.intervals import Interval
from synthetic import draw_dataset


@dataclass(frozen=True)
class WideFilms:
    paths: tuple[str, ...]
    share: Interval | None


def find_wide(context: CheckContext) -> WideFilms:
    assert context.finding(LEAKS).verdict == "none"  # it stands earlier in the registry
    rows = context.inventory.connection.execute("SELECT path FROM files WHERE width >= height")
    return WideFilms(tuple(path for (path,) in rows), Interval(0.5, 0.25, 0.75, 8))


def summarise(wide: WideFilms) -> Summary:
    return Summary(
        f"{len(wide.paths)} films are wide",
        alarm=True,
        columns=("path",),
        rows=tuple((path,) for path in wide.paths),
        plot=IntervalPlot("Share", "share", {"wide": wide.share}, 0.1, 0.2, "A caption."),
    )


WIDE = Check("wide_films", WideFilms, find_wide, summarise, explanation="Wide films are wide.")


@pytest.fixture
def with_wide_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CHECKS", (*registry.CHECKS, WIDE))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", patients=2)


def test_names_of_checks_differ_and_are_keys() -> None:
    names = [check.name for check in registry.CHECKS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    assert not {"format", "flow"} & set(names)


@pytest.mark.usefixtures("with_wide_films")
def test_finding_of_an_added_check_is_in_the_report_and_read_back(
    data_dir: Path, tmp_path: Path
) -> None:
    result = clean(data_dir, tmp_path / "m.csv")
    written = json.loads(result.report_file.read_text())
    assert list(written)[-1] == "wide_films"
    assert len(written["wide_films"]["paths"]) == 8
    assert written["wide_films"]["share"] == {"value": 0.5, "low": 0.25, "high": 0.75, "n": 8}
    assert read_cleaning_report(result.report_file) == result.report


@pytest.mark.usefixtures("with_wide_films")
def test_added_check_has_a_line_on_the_terminal(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean_command(data_dir, tmp_path / "m.csv")
    assert "wide-films: 8 films are wide" in capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("with_wide_films")
def test_added_check_has_a_section_of_the_page(data_dir: Path, tmp_path: Path) -> None:
    def section(folder: Path) -> Any:
        table = read_metadata(tmp_path / "m.csv")
        return cleaning_sections(tmp_path / "m.csv", table, folder=folder)[-1]

    result = clean(data_dir, tmp_path / "m.csv")
    shown = section(tmp_path / "eda")
    assert (shown.title, shown.alarm) == ("Wide-films", "Found: 8 films are wide.")
    assert shown.paragraphs == ["Wide films are wide."]
    assert len(shown.tables[0].rows) == 8
    [picture] = shown.pictures
    assert picture.file == tmp_path / "eda" / "wide_films.png"
    assert picture.file.exists()
    assert picture.caption == "A caption. Beyond the limit of 0.2: wide."
    result.report_file.unlink()
    assert section(tmp_path / "eda").title == "Wide-films"
