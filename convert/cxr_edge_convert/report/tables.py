"""The tables of a conversion's report that have one row for Keras and one for each variant."""

from cxr_edge_convert.report.conversion_report import ConversionReport
from cxr_edge_convert.verification import LostImages
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_train.evaluation.metrics import Metrics
from cxr_edge_train.reporting.page import Table

# Stands beside times that were measured on a busy machine.
BUSY = "(busy)"
# A network computes the same every time, so what spreads the times is other work.
_DISTURBED = 1.5
# Of the time of a single thread; on an idle machine less than a hundredth was measured.
_WAITED = 0.05


def quality_table(report: ConversionReport) -> Table:
    """How good Keras and each variant are on validation."""
    columns = ["variant", "verdict", "recall", "specificity", "AUC", "accuracy", "precision"]
    rows = [["Keras", "float baseline", *metric_cells(report.keras.metrics)]]
    rows += [
        [
            variant.name,
            "passed" if variant.passed else "REJECTED",
            *metric_cells(variant.verification.metrics),
        ]
        for variant in report.variants
    ]
    return Table(columns, rows)


def difference_table(report: ConversionReport) -> Table:
    """What each variant loses against Keras."""
    negative, positive = report.labels
    columns = [
        "variant", "recall drop", "recall drop, upper bound", "specificity drop", "AUC drop",
        "agreement", f"changed to {positive}", f"changed to {negative}", "McNemar's p",
        "mean shift", "largest shift", "largest logit difference",
    ]  # fmt: skip
    rows = []
    measured = [(variant.name, variant.verification) for variant in report.variants]
    measured += [
        (f"{variant.name}, default session", variant.default_session)
        for variant in report.variants
        if variant.default_session
    ]
    for name, v in measured:
        rows.append(
            [
                name,
                _drop(v.recall_lost),
                f"{v.recall_drop_bound:.4f}",
                _drop(v.specificity_lost),
                f"{v.auc_drop:.4f}",
                f"{v.agreement:.4f} ({v.n_changed} of {v.n} changed)",
                str(len(v.to_positive)),
                str(len(v.to_negative)),
                f"{v.mcnemar_p:.3f}",
                f"{v.mean_probability_shift:.4f}",
                f"{v.max_probability_shift:.3f}",
                f"{v.max_logit_difference:.2g}",
            ]
        )
    return Table(columns, rows)


def milliseconds(timing: Timing) -> str:
    """Median and 95th percentile, with a mark where other work disturbed the measurement."""
    mark = f" {BUSY}" if is_disturbed(timing) else ""
    return f"{timing.p50_ms:.2f} / {timing.p95_ms:.2f}{mark}"


def is_disturbed(timing: Timing) -> bool:
    """Whether other work took the processor: now and then, or all the time.

    With several threads the one that asks waits for the others, too, so only one thread tells.
    """
    now_and_then = timing.p95_ms > _DISTURBED * timing.p50_ms
    return now_and_then or (timing.threads == 1 and timing.waited > _WAITED)


def _drop(lost: LostImages) -> str:
    return f"{lost.share:.4f} ({lost.net} of {lost.n})"


def cost_table(report: ConversionReport) -> Table:
    """What each variant takes in bytes, milliseconds and memory."""
    columns = [
        "variant", "format", "scheme", "bytes", "size / Keras", "size / float32",
        "ms, 1 thread", "ms, 2 threads", "load ms", "peak MB",
    ]  # fmt: skip
    size = report.source.keras_bytes
    rows = [["Keras", "keras", "float32", f"{size:,}", "1.00", "–", "–", "–", "–", "–"]]
    for variant in report.variants:
        one, _ = variant.timings
        rows.append(
            [
                variant.name,
                variant.format,
                variant.quantization + (f", {variant.target}" if variant.target else ""),
                f"{variant.bytes:,}",
                f"{variant.ratio_to_keras:.2f}",
                f"{variant.ratio_to_float32:.2f}",
                *(milliseconds(timing) for timing in variant.timings),
                f"{one.load_ms:.0f}",
                f"{one.peak_memory_mb:.0f}",
            ]
        )
    return Table(columns, rows)


def metric_cells(metrics: Metrics) -> list[str]:
    """Recall, specificity, AUC, accuracy and precision with their intervals."""
    found = (
        metrics.sensitivity, metrics.specificity, metrics.auc, metrics.accuracy, metrics.precision,
    )  # fmt: skip
    return [str(interval) if interval else "–" for interval in found]
