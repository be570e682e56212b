import json
from pathlib import Path

import pytest

from cleaning_report import report
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.cleaning_report import read_cleaning_report, report_path


def test_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = report_path(tmp_path / "m.csv")
    assert file == tmp_path / "m.report.json"
    values = report([("train", "NORMAL", 3)], features={"width": 0.5})
    file.write_text(json.dumps(values))
    read = read_cleaning_report(file)
    assert read.flow[0].kept == 3
    assert read.leaks.verdict == "none"
    assert read.shortcuts.by_feature["width"].value == 0.5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_damaged_report_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.report.json"
    file.write_text(text)
    with pytest.raises(DatasetError, match="run cxr-edge clean again"):
        read_cleaning_report(file)


def test_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        read_cleaning_report(tmp_path / "m.report.json")
