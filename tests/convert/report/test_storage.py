import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cxr_edge_convert.report.storage import read_content, write_content
from cxr_edge_runtime.errors import ReportError

CONTENT = {"schema_version": 2, "variants": []}
PREDICTIONS = pd.DataFrame({"path": ["a"], "label": ["NORMAL"], "patient": [""], "keras": [0.5]})


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_content(tmp_path, CONTENT, PREDICTIONS)
    content, predictions = read_content(tmp_path)
    assert content == CONTENT
    pd.testing.assert_frame_equal(predictions, PREDICTIONS)


@pytest.mark.parametrize("missing", ["report.json", "predictions.csv"])
def test_folder_without_a_conversion_is_named(tmp_path: Path, missing: str) -> None:
    write_content(tmp_path, CONTENT, PREDICTIONS)
    (tmp_path / missing).unlink()
    with pytest.raises(ReportError, match=rf"holds no conversion \({missing} is missing\)"):
        read_content(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_damaged_report_is_one_clear_error(tmp_path: Path, text: str) -> None:
    write_content(tmp_path, CONTENT, PREDICTIONS)
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportError, match=r"its report is damaged \(.*\); convert again"):
        read_content(tmp_path)


@pytest.mark.parametrize("version", [1, 3])
def test_other_version_is_refused(tmp_path: Path, version: Any) -> None:
    write_content(tmp_path, CONTENT, PREDICTIONS)
    (tmp_path / "report.json").write_text(json.dumps(CONTENT | {"schema_version": version}))
    with pytest.raises(ReportError, match=f"schema version {version}, this cxr-edge reads 2"):
        read_content(tmp_path)
