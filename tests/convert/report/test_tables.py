from typing import Any

from cxr_edge_convert.report.tables import cost_table, difference_table, metric_cells, quality_table

FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}
METRICS = dict.fromkeys(("sensitivity", "specificity", "auc", "accuracy", "precision"), FIGURE)
CELL = "0.900 [0.800, 0.950]"


def variant(name: str, *, passed: bool = True, target: str | None = None) -> dict[str, Any]:
    timing = {"p50_ms": 4.125, "p95_ms": 5.5, "load_ms": 12.4, "peak_memory_mb": 61.7}
    return {
        "name": name,
        "passed": passed,
        "format": "onnx" if target else "tflite",
        "quantization": "int8",
        "target": target,
        "bytes": 2_731_000,
        "ratio_to_keras": 0.25,
        "ratio_to_float32": 0.2875,
        "timings": [timing, timing | {"p50_ms": 2.0, "p95_ms": 3.0}],
        "verification": {
            "metrics": METRICS,
            "recall_drop": 0.01,
            "specificity_drop": -0.005,
            "auc_drop": 0.0,
            "agreement": 0.9925,
            "to_pneumonia": ["a", "b"],
            "to_normal": ["c"],
            "mcnemar_p": 0.25,
            "mean_probability_shift": 0.0012,
            "max_probability_shift": 0.125,
            "max_logit_difference": 0.6789,
        },
    }


CONTENT = {
    "keras": {"metrics": METRICS},
    "source": {"keras_bytes": 10_924_000},
    "variants": [variant("int8"), variant("onnx-int8-x86", passed=False, target="x86")],
}


def test_quality_begins_with_keras_and_says_the_verdict_of_each_variant() -> None:
    table = quality_table(CONTENT)
    assert [list(row[:2]) for row in table.rows] == [
        ["Keras", "reference"], ["int8", "passed"], ["onnx-int8-x86", "REJECTED"],
    ]  # fmt: skip
    assert all(row[2:] == [CELL] * 5 for row in table.rows)
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_figure_that_was_not_measured_is_a_dash() -> None:
    assert metric_cells({"auc": FIGURE}) == ["–", "–", CELL, "–", "–"]


def test_differences_count_the_decisions_that_changed_either_way() -> None:
    table = difference_table(CONTENT)
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert row == {
        "variant": "int8",
        "recall drop": "0.0100",
        "specificity drop": "-0.0050",
        "AUC drop": "0.0000",
        "agreement": "0.9925",
        "to PNEUMONIA": "2",
        "to NORMAL": "1",
        "McNemar's p": "0.250",
        "mean shift": "0.0012",
        "largest shift": "0.125",
        "largest logit difference": "0.68",
    }


def test_costs_name_the_processors_a_model_is_laid_out_for() -> None:
    table = cost_table(CONTENT)
    keras, plain, for_x86 = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (keras["bytes"], keras["ms, 1 thread"]) == ("10,924,000", "–")
    assert (plain["scheme"], for_x86["scheme"]) == ("int8", "int8, x86")
    assert plain["bytes"] == "2,731,000"
    assert plain["of Keras"] == "0.25"
    assert (plain["ms, 1 thread"], plain["ms, 2 threads"]) == ("4.12 / 5.50", "2.00 / 3.00")
    assert (plain["load ms"], plain["peak MB"]) == ("12", "62")
