import json
from types import ModuleType
from typing import Any

import pytest

from scripts import ROOT, load_script

TEST = "caecf0ee6d271435c061bb2fc9929240911aabe622eb993adfcc8275f4f5b130"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("models/release/write_test_log.py")


def reading(**changes: Any) -> dict[str, Any]:
    figure = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 307}
    return {
        "date": "2026-01-02",
        "bundle": "int8",
        "run": None,
        "model_sha256": "0123456789abcdef",
        "test_digest": TEST,
        "metrics": dict.fromkeys(("auc", "sensitivity", "specificity"), figure),
        **changes,
    }


def rows(page: str) -> list[list[str]]:
    """The cells of the last table's rows below its heading."""
    table = page[page.rindex("| --- |") :].splitlines()[1:]
    return [line.strip("| ").split(" | ") for line in table]


def test_committed_page_is_what_the_script_writes(script: ModuleType) -> None:
    results = ROOT / "docs" / "results"
    page = script.log_page((results / "test-log.jsonl").read_text(), script.shipped_models())
    assert (results / "test-log.md").read_text() == page, "run models/release/write_test_log.py"


def test_each_reading_is_a_row_in_the_order_of_the_log(script: ModuleType) -> None:
    calibration = {"value": 0.05, "low": 0.03, "high": 0.081, "n": 307}
    readings = [
        reading(),
        reading(
            bundle=None,
            run="wide",
            model_sha256="f" * 64,
            test_digest="ab" * 32,
            metrics=reading()["metrics"] | {"expected_calibration_error": calibration},
        ),
    ]
    log = "".join(json.dumps(one) + "\n" for one in readings)
    first, second = rows(script.log_page(log, {"0123456789abcdef": "small"}))
    figure = "0.900 [0.800, 0.950]"
    name_of_first = ["2026-01-02", "int8", "`0123456789ab`", "test", "307"]
    assert first == [*name_of_first, figure, figure, figure, "–", "small"]
    name_of_second = ["2026-01-02", "wide", "`ffffffffffff`", "`abababababab`", "307"]
    calibrated = "0.050 [0.030, 0.081]"
    assert second == [*name_of_second, figure, figure, figure, calibrated, "not shipped"]
