from dataclasses import replace
from pathlib import Path

import pytest

from conversion_reports import conversion_report_of, variant_report
from cxr_edge.console.conversion_table import print_variants, require_limits
from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.refitting import Refit
from cxr_edge_runtime.errors import LimitMissed


def test_calibration_with_other_predictions_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unstable = Stability(300, 0.5, "tensor", 0.0, 9, "use more images")
    report = conversion_report_of(
        variant_report("int8"), variant_report("onnx-int8-x86", stability=unstable)
    )
    print_variants(report)
    captured = capsys.readouterr()
    assert captured.err == "warning: onnx-int8-x86: use more images\n"
    assert [line.split()[0] for line in captured.out.splitlines()] == [
        "variant", "int8", "onnx-int8-x86",
    ]  # fmt: skip
    require_limits(report, tmp_path)


def test_line_has_size_and_metrics_and_a_second_one_those_fitted_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = variant_report("int8", shift=5.0).verification.metrics
    own = Refit(1.0, 0.9, "a rule", metrics)
    print_variants(conversion_report_of(variant_report("int8", refit=own)))
    heading, line, fitted = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "variant", "bytes", "recall", "specificity", "AUC", "agreement", "verdict",
    ]  # fmt: skip
    assert line.split() == ["int8", "2731000", "1.000", "1.000", "1.000", "1.0000", "passed"]
    assert fitted.split() == ["fitted", "anew", "1.000", "0.000"]


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
        require_limits(report, tmp_path)
    assert str(caught.value).startswith("float16: specificity fell by 1.0000, the limit is ")
    assert str(caught.value).endswith(
        f". See {tmp_path / 'rejected'} and {tmp_path / 'report.html'}"
    )
