import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conversion_reports import conversion_report_of, variant_report
from cxr_edge_convert.report import render_again
from cxr_edge_convert.report.storage import read_report, write_report
from cxr_edge_runtime.errors import InvalidRequest, ReportError
from verified_logits import FLOAT, TABLE

REPORT = conversion_report_of(
    variant_report("int8", shift=5.0), variant_report("onnx-int8-x86", gate=None)
)
PREDICTIONS = TABLE.assign(keras=FLOAT, **{"int8": FLOAT + 5, "onnx-int8-x86": FLOAT})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_report(tmp_path, REPORT, PREDICTIONS)
    return tmp_path


def content_of(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def test_what_was_written_is_read(written: Path) -> None:
    report, predictions = read_report(written)
    assert report == REPORT
    assert [variant.name for variant in report.rejected] == ["int8"]
    pd.testing.assert_frame_equal(predictions, PREDICTIONS, check_dtype=False)


def test_precision_that_cannot_be_computed_is_left_out_and_read_as_none(tmp_path: Path) -> None:
    metrics = replace(REPORT.keras.metrics, precision=None)
    report = replace(REPORT, keras=replace(REPORT.keras, metrics=metrics))
    write_report(tmp_path, report, PREDICTIONS)
    assert "precision" not in content_of(tmp_path)["keras"]["metrics"]
    assert "precision" in content_of(tmp_path)["variants"][0]["verification"]["metrics"]
    assert read_report(tmp_path)[0] == report


def test_report_that_was_written_before_there_was_a_gate_is_read(written: Path) -> None:
    content = content_of(written)
    for variant in content["variants"]:
        del variant["gate"]
    (written / "report.json").write_text(json.dumps(content))
    report, _ = read_report(written)
    assert [variant.gate for variant in report.variants] == [None, None]


@pytest.mark.parametrize("missing", ["report.json", "predictions.csv"])
def test_folder_without_a_conversion_is_named(written: Path, missing: str) -> None:
    (written / missing).unlink()
    with pytest.raises(ReportError, match=rf"contains no conversion \({missing} is missing\)"):
        read_report(written)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"schema_version": 4}', "\xff"])
def test_damaged_report_is_one_clear_error(written: Path, text: str) -> None:
    (written / "report.json").write_text(text, encoding="latin-1")
    with pytest.raises(ReportError, match=r"its report is damaged \(.*\); convert again"):
        read_report(written)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("keras", 1, "keras must be a JSON object"),
        ("notice", None, "notice must be text"),
        ("limits.min_agreement", "high", "min_agreement must be a number"),
        ("limits.max_auc", 0.1, "max_auc is not a known field"),
        ("variants.0", {}, r"variants\[0\]"),
        ("variants.0.bytes", 1.5, r"variants\[0\].bytes must be an integer"),
        ("variants.0.passed", 1, r"variants\[0\].passed must be true or false"),
        ("variants.0.quantization", "int4", "quantization must be float32 or float16"),
        ("variants.0.verification.agreement", None, "agreement must be a number"),
        ("variants.0.timings", [], r"timings must be a list of 2"),
        ("variants.1.refit", {}, "refit"),
    ],
)
def test_wrong_value_is_named_with_its_place(
    written: Path, path: str, value: Any, message: str
) -> None:
    content = content_of(written)
    *above, last = path.split(".")
    holder = content
    for key in above:
        holder = holder[int(key)] if key.isdigit() else holder[key]
    holder[int(last) if last.isdigit() else last] = value
    (written / "report.json").write_text(json.dumps(content))
    with pytest.raises(ReportError, match=rf"its report is damaged \(.*{message}.*convert again"):
        read_report(written)


def test_predictions_without_the_logits_of_a_variant_are_named(written: Path) -> None:
    PREDICTIONS.drop(columns="int8").to_csv(written / "predictions.csv", index=False)
    with pytest.raises(ReportError, match=r"damaged \(predictions.csv has no column int8\)"):
        read_report(written)


@pytest.mark.parametrize("version", [3, 5, None])
def test_other_version_is_refused(written: Path, version: Any) -> None:
    content = content_of(written) | {"schema_version": version}
    (written / "report.json").write_text(json.dumps(content))
    with pytest.raises(ReportError, match=f"schema version {version}, this cxr-edge reads 4"):
        read_report(written)


@pytest.mark.parametrize("kind", ["file", "link", "broken link", "device"])
def test_what_is_no_folder_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    film, link = tmp_path / "film.jpeg", tmp_path / "link"
    film.write_bytes(b"a film")
    link.symlink_to(film if kind == "link" else tmp_path / "gone")
    path = {"file": film, "device": Path("/dev/null")}.get(kind, link)
    with pytest.raises(
        InvalidRequest, match=f"^{path}: is not a folder; name the folder of a conv"
    ):
        render_again(path)


def test_path_below_a_file_holds_no_conversion(tmp_path: Path) -> None:
    (tmp_path / "film.jpeg").write_bytes(b"a film")
    with pytest.raises(
        ReportError,
        match=r"film\.jpeg/x: contains no conversion \(report\.json "
        "is",
    ):
        render_again(tmp_path / "film.jpeg" / "x")


def test_link_to_a_conversion_is_taken(written: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written)
    assert render_again(tmp_path / "link") == REPORT
