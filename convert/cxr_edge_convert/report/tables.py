"""The tables of a conversion's report that hold a line for each variant and one for Keras."""

from typing import Any

from cxr_edge_convert.report.storage import Content
from cxr_edge_train.reporting.page import Table
from cxr_edge_train.statistics.intervals import Interval


def quality_table(content: Content) -> Table:
    """How good each variant is on validation, and Keras."""
    columns = ["variant", "verdict", "recall", "specificity", "AUC", "accuracy", "precision"]
    rows = [["Keras", "reference", *metric_cells(content["keras"]["metrics"])]]
    rows += [
        [
            variant["name"],
            "passed" if variant["passed"] else "REJECTED",
            *metric_cells(variant["verification"]["metrics"]),
        ]
        for variant in content["variants"]
    ]
    return Table(columns, rows)


def difference_table(content: Content) -> Table:
    """What each variant loses against Keras."""
    columns = [
        "variant", "recall drop", "specificity drop", "AUC drop", "agreement", "to PNEUMONIA",
        "to NORMAL", "McNemar's p", "mean shift", "largest shift", "largest logit difference",
    ]  # fmt: skip
    rows = []
    for variant in content["variants"]:
        v = variant["verification"]
        rows.append(
            [
                variant["name"],
                f"{v['recall_drop']:.4f}",
                f"{v['specificity_drop']:.4f}",
                f"{v['auc_drop']:.4f}",
                f"{v['agreement']:.4f}",
                str(len(v["to_pneumonia"])),
                str(len(v["to_normal"])),
                f"{v['mcnemar_p']:.3f}",
                f"{v['mean_probability_shift']:.4f}",
                f"{v['max_probability_shift']:.3f}",
                f"{v['max_logit_difference']:.2g}",
            ]
        )
    return Table(columns, rows)


def cost_table(content: Content) -> Table:
    """What each variant takes in bytes, milliseconds and memory."""
    columns = [
        "variant", "format", "scheme", "bytes", "of Keras", "of float32",
        "ms, 1 thread", "ms, 2 threads", "load ms", "peak MB",
    ]  # fmt: skip
    size = content["source"]["keras_bytes"]
    rows = [["Keras", "keras", "float32", f"{size:,}", "1.00", "–", "–", "–", "–", "–"]]
    for variant in content["variants"]:
        scheme = variant["quantization"] + (f", {variant['target']}" if variant["target"] else "")
        one, two = variant["timings"]
        rows.append(
            [
                variant["name"],
                variant["format"],
                scheme,
                f"{variant['bytes']:,}",
                f"{variant['ratio_to_keras']:.2f}",
                f"{variant['ratio_to_float32']:.2f}",
                f"{one['p50_ms']:.2f} / {one['p95_ms']:.2f}",
                f"{two['p50_ms']:.2f} / {two['p95_ms']:.2f}",
                f"{one['load_ms']:.0f}",
                f"{one['peak_memory_mb']:.0f}",
            ]
        )
    return Table(columns, rows)


def metric_cells(metrics: dict[str, Any]) -> list[str]:
    """Recall, specificity, AUC, accuracy and precision with their intervals."""
    names = ("sensitivity", "specificity", "auc", "accuracy", "precision")
    return [str(Interval(**metrics[name])) if name in metrics else "–" for name in names]
