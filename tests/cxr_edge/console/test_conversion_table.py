from dataclasses import replace
from pathlib import Path

import pytest

from conversion_reports import conversion_report_of, variant_report, verification_of
from cxr_edge.console.conversion_table import print_variants, require_limits
from cxr_edge_convert.refitting import Refit
from cxr_edge_convert.verification import LostImages
from cxr_edge_runtime.errors import LimitMissed


def test_calibration_with_other_predictions_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = conversion_report_of(
        variant_report("int8"), variant_report("onnx-int8-x86", warnings=("use more images",))
    )
    print_variants(report)
    captured = capsys.readouterr()
    assert captured.err == "warning: onnx-int8-x86: use more images\n"
    assert [line.split()[0] for line in captured.out.splitlines()] == [
        "variant", "int8", "onnx-int8-x86",
    ]  # fmt: skip
    require_limits(report, tmp_path, accuracy_control=False)
    used = f"next: cxr-edge classify --bundle {tmp_path / 'int8'} image.jpeg\n"
    assert capsys.readouterr().out == used


def test_line_has_size_and_metrics_and_a_second_one_those_fitted_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = variant_report("int8", shift=5.0).verification.metrics
    verification = variant_report("int8", shift=5.0).verification
    lost = verification.recall_lost, 0.1, verification.specificity_lost
    own = Refit(1.0, 0.0, 0.5, 0.9, "a rule", metrics, *lost)
    print_variants(conversion_report_of(variant_report("int8", refit=own)))
    heading, line, fitted = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "variant", "bytes", "recall", "specificity", "AUC", "agreement", "verdict",
    ]  # fmt: skip
    assert line.split() == [
        "int8", "2731000", "1.000", "(200/200)", "1.000", "(200/200)", "1.000", "1.0000",
        "(400/400)", "passed",
    ]  # fmt: skip
    assert fitted.split() == ["refitted", "1.000", "(200/200)", "0.000", "(0/200)"]


def test_rejected_variant_is_named_with_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rejected = replace(variant_report("float16", shift=5.0), stability=None)
    report = conversion_report_of(variant_report("int8"), rejected)
    print_variants(report)
    captured = capsys.readouterr()
    assert [line.split()[-1] for line in captured.out.splitlines()[1:]] == ["passed", "REJECTED"]
    assert captured.err == ""
    with pytest.raises(LimitMissed) as caught:
        require_limits(report, tmp_path, accuracy_control=False)
    said = str(caught.value)
    assert said.startswith("float16: specificity fell by 1.000, limit 0.02: 200 of 200 images, p ")
    assert said.endswith(
        ". Try --accuracy-control, or more validation images. "
        f"See {tmp_path / 'rejected'} and {tmp_path / 'report.html'}"
    )
    with pytest.raises(LimitMissed, match="Try more validation images"):
        require_limits(report, tmp_path, accuracy_control=True)


def test_next_step_is_one_that_can_help(tmp_path: Path) -> None:
    few = LostImages(net=0, n=50, p=1.0)
    unchecked = replace(verification_of(), recall_lost=few, failures=("too few images",))
    report = conversion_report_of(variant_report("int8", passed=False, verification=unchecked))
    with pytest.raises(LimitMissed, match=r"too few images\. Try more validation images\."):
        require_limits(report, tmp_path, accuracy_control=False)
    # Where the graph is wrong no option helps.
    wrong = variant_report("float32", shift=5.0, quantization="float32")
    report = conversion_report_of(wrong, variant_report("int8", shift=5.0))
    with pytest.raises(LimitMissed) as caught:
        require_limits(report, tmp_path, accuracy_control=False)
    assert "Try" not in str(caught.value)


def test_rescued_variant_is_no_missed_limit_and_the_last_line_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = conversion_report_of(
        variant_report("int8", shift=5.0), variant_report("int8-mixed", bytes=3_000_000)
    )
    require_limits(report, tmp_path, accuracy_control=True)
    used = f"next: cxr-edge classify --bundle {tmp_path / 'int8-mixed'} image.jpeg"
    assert capsys.readouterr().out.splitlines()[-1] == used


def test_columns_stand_below_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_variants(conversion_report_of(variant_report("int8"), variant_report("dynamic")))
    heading, *rows = capsys.readouterr().out.splitlines()
    ends = [heading.index(name) + len(name) for name in ("recall", "specificity", "agreement")]
    assert all(row[end - 1] == ")" and row[end] == " " for row in rows for end in ends)
