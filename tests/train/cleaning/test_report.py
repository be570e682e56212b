import json
from pathlib import Path
from typing import Any

import pytest

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning.checks.leaks import Leaks
from cxr_edge_train.cleaning.checks.shortcuts import Shortcuts
from cxr_edge_train.cleaning.inventory import FlowRow
from cxr_edge_train.cleaning.report import (
    CleaningReport,
    read_cleaning_report,
    write_cleaning_report,
)
from cxr_edge_train.dataset.metadata import report_path
from cxr_edge_train.dataset.near_duplicates import NearDuplicate
from cxr_edge_train.statistics.intervals import Interval

AUC = Interval(0.9, 0.8, 1.0, 40)
REPORT = CleaningReport(
    (FlowRow("train", "NORMAL", 4, 3, 2, 1),),
    {
        "near_duplicates": (NearDuplicate("a", "b", 0.99, True, False),),
        "leaks": Leaks("leak", ("p",), (("c", "d"),), (("a", "b"),), "words"),
        "shortcuts": Shortcuts("alarm", 0.65, AUC, {"width": AUC}, "words"),
    },
)


def test_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = report_path(tmp_path / "clean_metadata.csv")
    assert path.name == "clean_metadata.report.json"
    write_cleaning_report(path, REPORT)
    assert read_cleaning_report(path) == REPORT


def test_format_of_the_file_is_kept(tmp_path: Path) -> None:
    auc = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 40}
    write_cleaning_report(tmp_path / "r.json", REPORT)
    assert json.loads((tmp_path / "r.json").read_text()) == {
        "format": 1,
        "flow": [
            {
                "split": "train", "label": "NORMAL", "found": 4, "readable": 3, "unique": 2,
                "kept": 1,
            }
        ],
        "near_duplicates": [
            {
                "first": "a", "second": "b", "correlation": 0.99, "across_splits": True,
                "across_labels": False,
            }
        ],
        "leaks": {
            "verdict": "leak", "patients": ["p"], "exact": [["c", "d"]], "near": [["a", "b"]],
            "words": "words",
        },
        "shortcuts": {
            "verdict": "alarm", "limit": 0.65, "auc": auc, "by_feature": {"width": auc},
            "words": "words",
        },
    }  # fmt: skip


def test_missing_report_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"r\.json: no such file; make it with cxr-edge clean"):
        read_cleaning_report(tmp_path / "r.json")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"format": 2}', b"null"])
def test_what_is_no_report_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"r\.json: "):
        read_cleaning_report(tmp_path / "r.json")


def damaged(content: Any) -> list[Any]:
    """Every way to drop a value, or to put an object of another kind in its place."""
    ways: list[Any] = []
    if isinstance(content, dict):
        for key, value in content.items():
            rest = {name: other for name, other in content.items() if name != key}
            if key not in ("width", "format"):
                ways.append(rest)
            if key != "by_feature":
                ways.extend({**content, key: way} for way in damaged(value))
    elif isinstance(content, list):
        ways.extend([way] for item in content[:1] for way in damaged(item))
        ways.append("text")
    else:
        ways.append({"x": 1})
    return ways


def test_every_damaged_value_is_met(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    ways = damaged(REPORT.as_dict() | json.loads(json.dumps(REPORT.as_dict())))
    assert len(ways) > 40
    for way in ways:
        path.write_text(json.dumps(way))
        with pytest.raises(
            DatasetError,
            match=r"r\.json: (is (damaged|not a cleaning)|has no "
            "entry)",
        ):
            read_cleaning_report(path)


def test_whole_number_is_a_fraction_too(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_cleaning_report(path, REPORT)
    # As another program writes 1.0.
    path.write_text(path.read_text().replace('"high": 1.0', '"high": 1'))
    assert read_cleaning_report(path) == REPORT
    assert type(read_cleaning_report(path).findings["shortcuts"].auc.high) is float


def test_number_that_no_double_holds_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    content = REPORT.as_dict()
    path.write_text(json.dumps(content | {"shortcuts": content["shortcuts"] | {"limit": 10**400}}))
    with pytest.raises(DatasetError, match=r"r\.json: is damaged \(shortcuts\.limit must be a f"):
        read_cleaning_report(path)


def test_report_without_a_check_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    content = {key: value for key, value in REPORT.as_dict().items() if key != "leaks"}
    path.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="has no entry 'leaks', so another version of cxr-edge"):
        read_cleaning_report(path)
