"""HTML, Markdown, CSV and plots of a report, made from its JSON and its predictions."""

import os
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_edge_convert.report.changed_predictions import FIGURES
from cxr_edge_convert.report.conversion_report import ConversionReport
from cxr_edge_convert.report.figures import draw_shift, draw_tensor_errors, draw_tradeoff
from cxr_edge_convert.report.sections import report_sections
from cxr_edge_convert.report.storage import PREDICTIONS, REPORT, read_report
from cxr_edge_runtime.arguments import as_path
from cxr_edge_runtime.errors import InvalidRequest, ReportError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.files.outputs import begins_with, check_file
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.reporting.markdown import markdown_page
from cxr_edge_train.reporting.page import Picture, write_page
from cxr_edge_train.runs import write_table

HTML, MARKDOWN, CSV = "report.html", "report.md", "report.csv"
_BEGINNINGS = {HTML: b"<!doctype html>", MARKDOWN: b"# ", CSV: b"name,"}
REPORT_FILES = (HTML, MARKDOWN, CSV, REPORT, PREDICTIONS)


def render_again(folder: str | Path) -> ConversionReport:
    """Write the report of an earlier conversion once more, from ``report.json``.

    Args:
        folder: the folder of the conversion.

    Returns:
        The report that was read.

    Raises:
        ReportError: the folder holds no conversion, or a damaged one.
        InvalidRequest: it is not a folder, or a file of the report would replace something else, or
            cannot be written.
    """
    folder = as_path(folder, "folder")
    if os.path.lexists(folder) and not folder.is_dir():
        raise InvalidRequest(f"{folder}: is not a folder; name the folder of a conversion")
    try:
        return render(folder)
    except (LookupError, ValueError) as error:  # what types cannot say, as a name that is missing
        raise ReportError(
            f"{folder}: its report is damaged ({type(error).__name__}: {error}); convert again"
        ) from error


def render(folder: Path) -> ConversionReport:
    """Write HTML, Markdown, CSV and plots of a conversion into its folder.

    Raises:
        ReportError: the folder holds no conversion, or a damaged one.
    """
    report, predictions = read_report(folder)
    for name, beginning in _BEGINNINGS.items():
        check_file(folder / name, "part of a report", ours=begins_with(beginning))
    title = f"Conversion of {report.source.name}"
    sections = report_sections(report, _draw(folder, report, predictions), folder)
    write_table(folder / CSV, _as_frame(report))
    write_text(folder / MARKDOWN, markdown_page(title, f"**{report.notice}**", sections, folder))
    write_page(folder / HTML, title=title, notice=report.notice, sections=sections)
    return report


def _draw(folder: Path, report: ConversionReport, predictions: pd.DataFrame) -> dict[str, Picture]:
    figures = folder / FIGURES
    pictures = {
        "size": Picture(
            save_figure(draw_tradeoff(report, "size"), figures / "tradeoff-size.png"),
            "Recall and AUC on validation against size, with 95% intervals; a hollow mark was "
            "rejected. Where intervals overlap widely, the order may be due to chance.",
        ),
        "latency": Picture(
            save_figure(draw_tradeoff(report, "latency"), figures / "tradeoff-latency.png"),
            "The same against the time of one inference on the machine that converted.",
        ),
        "shift": Picture(
            save_figure(draw_shift(report, predictions), figures / "shift.png"),
            "Probability of each validation image in Keras and in each variant; dotted lines are "
            "the threshold.",
        ),
    }
    measured = [variant for variant in report.variants if variant.tensor_errors]
    if measured:
        pictures["errors"] = Picture(
            save_figure(draw_tensor_errors(measured), figures / "tensor-errors.png"),
            "How far each operator's output is from float: squared error divided by variance, "
            "averaged over channels. The operators that add most error to their input are marked.",
        )
    return pictures


def _as_frame(report: ConversionReport) -> pd.DataFrame:
    rows = []
    for variant in report.variants:
        verification = variant.verification
        row: dict[str, Any] = {
            name: getattr(variant, name)
            for name in (
                "name", "format", "quantization", "target", "passed", "bytes", "ratio_to_keras",
                "ratio_to_float32", "sha256",
            )
        }  # fmt: skip
        for name, metric in sorted(verification.metrics.as_dict().items()):
            row |= {name: metric["value"], f"{name}_low": metric["low"],
                    f"{name}_high": metric["high"]}  # fmt: skip
        row |= {
            name: getattr(verification, name)
            for name in (
                "recall_drop", "specificity_drop", "auc_drop", "agreement", "mcnemar_p",
                "mean_probability_shift", "max_probability_shift", "max_logit_difference",
            )
        }  # fmt: skip
        row["flips"] = len(verification.to_positive) + len(verification.to_negative)
        for timing in variant.timings:
            row |= {
                f"{name}_{timing.threads}": getattr(timing, name)
                for name in ("p50_ms", "p95_ms", "load_ms", "peak_memory_mb")
            }
        rows.append(row)
    return pd.DataFrame(rows)
