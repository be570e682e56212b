from dataclasses import replace

from conversion_reports import TIMING, conversion_report_of, variant_report, verification_of
from cxr_edge_convert.report.tables import (
    cost_table,
    difference_table,
    is_disturbed,
    metric_cells,
    quality_table,
)
from cxr_edge_convert.verification import ChangedPrediction, LostImages
from cxr_edge_runtime.bundle.manifest import Interval

INTERVAL = Interval(0.9, 0.8, 0.95, 40)
CELL = "0.900 [0.800, 0.950]"
METRICS = replace(
    verification_of().metrics,
    sensitivity=INTERVAL,
    specificity=INTERVAL,
    auc=INTERVAL,
    accuracy=INTERVAL,
    precision=INTERVAL,
)
CHANGE = ChangedPrediction("a.png", "NORMAL", 0.4, 0.6)
VERIFICATION = replace(
    verification_of(),
    metrics=METRICS,
    recall_drop=0.01,
    recall_lost=LostImages(2, 200, 0.5),
    recall_drop_bound=0.0312,
    specificity_drop=-0.005,
    specificity_lost=LostImages(-1, 200, 1.0),
    auc_drop=0.0,
    agreement=0.9925,
    to_positive=(CHANGE, CHANGE),
    to_negative=(CHANGE,),
    mcnemar_p=0.25,
    mean_probability_shift=0.0012,
    max_probability_shift=0.125,
    max_logit_difference=0.6789,
)
TIMINGS = (TIMING, replace(TIMING, threads=2, p50_ms=2.0, p95_ms=3.0))
REPORT = conversion_report_of(
    variant_report("int8", verification=VERIFICATION, timings=TIMINGS),
    variant_report("onnx-int8-x86", verification=VERIFICATION, timings=TIMINGS, passed=False),
)


def test_quality_begins_with_keras_and_says_the_verdict_of_each_variant() -> None:
    table = quality_table(REPORT)
    assert [list(row[:2]) for row in table.rows] == [
        ["Keras", "float baseline"], ["int8", "passed"], ["onnx-int8-x86", "REJECTED"],
    ]  # fmt: skip
    assert all(row[2:] == [CELL] * 5 for row in table.rows[1:])
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_metric_that_was_not_measured_is_a_dash() -> None:
    assert metric_cells(replace(METRICS, precision=None)) == [CELL] * 4 + ["–"]


def test_metrics_stand_in_the_order_of_the_columns() -> None:
    values = {
        name: Interval(number / 10, 0.0, 1.0, 40)
        for number, name in enumerate(
            ("sensitivity", "specificity", "auc", "accuracy", "precision")
        )
    }
    cells = metric_cells(replace(METRICS, **values))
    assert [cell[:5] for cell in cells] == ["0.000", "0.100", "0.200", "0.300", "0.400"]


def test_differences_count_the_predictions_that_changed_either_way() -> None:
    table = difference_table(REPORT)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row == {
        "variant": "int8",
        "recall drop": "0.0100 (2 of 200)",
        "recall drop, upper bound": "0.0312",
        "specificity drop": "-0.0050 (-1 of 200)",
        "AUC drop": "0.0000",
        "agreement": "0.9925 (3 of 400 changed)",
        "changed to PNEUMONIA": "2",
        "changed to NORMAL": "1",
        "McNemar's p": "0.250",
        "mean shift": "0.0012",
        "largest shift": "0.125",
        "largest logit difference": "0.68",
    }


def test_costs_name_the_processors_a_model_is_laid_out_for() -> None:
    table = cost_table(REPORT)
    keras, plain, for_x86 = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (keras["bytes"], keras["ms, 1 thread"]) == ("10,924,000", "–")
    assert (plain["scheme"], for_x86["scheme"]) == ("int8", "int8, x86")
    assert plain["bytes"] == "2,731,000"
    assert (plain["size / Keras"], plain["size / float32"]) == ("0.25", "0.29")
    assert (plain["ms, 1 thread"], plain["ms, 2 threads"]) == ("4.12 / 5.50", "2.00 / 3.00")
    assert (plain["load ms"], plain["peak MB"]) == ("12", "62")


def test_default_session_of_onnx_has_a_row_of_its_own() -> None:
    report = conversion_report_of(
        variant_report("onnx-int8", verification=VERIFICATION, default_session=verification_of(4.0))
    )
    names = [row[0] for row in difference_table(report).rows]
    assert names == ["onnx-int8", "onnx-int8, default session"]


def test_times_that_other_work_disturbed_are_marked() -> None:
    quiet, busy = replace(TIMING, p95_ms=1.4 * TIMING.p50_ms), replace(TIMING, p95_ms=10.0)
    report = conversion_report_of(variant_report("int8", timings=(quiet, busy)))
    cells = dict(zip(cost_table(report).columns, cost_table(report).rows[1], strict=True))
    assert "busy" not in cells["ms, 1 thread"]
    assert cells["ms, 2 threads"] == "4.12 / 10.00 (busy)"


def test_steady_other_work_is_told_by_the_time_that_a_single_thread_did_not_run() -> None:
    assert not is_disturbed(replace(TIMING, threads=1, waited=0.04))
    assert is_disturbed(replace(TIMING, threads=1, waited=0.06))
    # Of two threads one waits for the other.
    assert not is_disturbed(replace(TIMING, threads=2, waited=0.5))
