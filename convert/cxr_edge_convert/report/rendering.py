"""HTML, Markdown, CSV and figures of a report, made from its JSON and its predictions."""

from pathlib import Path
from typing import Any

import pandas as pd

from cxr_edge_convert.report.changed_predictions import FIGURES
from cxr_edge_convert.report.figures import draw_shift, draw_tensor_errors, draw_tradeoff
from cxr_edge_convert.report.sections import report_sections
from cxr_edge_convert.report.storage import PREDICTIONS, REPORT, Content, read_content
from cxr_edge_runtime.errors import ReportError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.reporting.markdown import markdown_page
from cxr_edge_train.reporting.page import Picture, write_page
from cxr_edge_train.runs import write_table

HTML, MARKDOWN, CSV = "report.html", "report.md", "report.csv"
REPORT_FILES = (HTML, MARKDOWN, CSV, REPORT, PREDICTIONS)


def render_again(folder: Path) -> Content:
    """Write the report of an earlier conversion, which others may have changed since.

    Returns:
        What stands in it.

    Raises:
        ReportError: the folder holds no conversion, or a damaged one.
    """
    content, _ = read_content(folder)
    try:
        render(folder)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(
            f"{folder}: its report is damaged ({type(error).__name__}: {error}); convert again"
        ) from error
    return content


def render(folder: Path) -> None:
    """Write the report of a conversion's folder.

    Raises:
        ReportError: the folder holds no conversion, or a damaged one.
    """
    content, predictions = read_content(folder)
    title = f"Conversion of {content['source']['name']}"
    sections = report_sections(content, _draw(folder, content, predictions), folder)
    write_table(folder / CSV, _as_frame(content))
    notice = content["notice"]
    write_text(folder / MARKDOWN, markdown_page(title, f"**{notice}**", sections, folder))
    write_page(folder / HTML, title=title, notice=notice, sections=sections)


def _draw(folder: Path, content: Content, predictions: pd.DataFrame) -> dict[str, Picture]:
    figures = folder / FIGURES
    pictures = {
        "size": Picture(
            save_figure(draw_tradeoff(content, "size"), figures / "tradeoff-size.png"),
            "Recall and AUC on validation against size, with 95% intervals; a hollow mark was "
            "rejected. Where intervals overlap widely, the order may be chance.",
        ),
        "latency": Picture(
            save_figure(draw_tradeoff(content, "latency"), figures / "tradeoff-latency.png"),
            "The same against the time of one inference on the machine that converted.",
        ),
        "shift": Picture(
            save_figure(draw_shift(content, predictions), figures / "shift.png"),
            "Probability of each validation image in Keras and in each variant; dotted lines are "
            "the threshold.",
        ),
    }
    measured = [v for v in content["variants"] if v["tensor_errors"]]
    if measured:
        pictures["errors"] = Picture(
            save_figure(draw_tensor_errors(measured), figures / "tensor-errors.png"),
            "How far each operator's output is from float: squared error by variance, mean over "
            "the channels. Marked are the operators that add most to what they were given.",
        )
    return pictures


def _as_frame(content: Content) -> pd.DataFrame:
    rows = []
    for variant in content["variants"]:
        verification = variant["verification"]
        row: dict[str, Any] = {
            name: variant[name]
            for name in (
                "name", "format", "quantization", "target", "passed", "bytes", "ratio_to_keras",
                "ratio_to_float32", "sha256",
            )
        }  # fmt: skip
        for name, figure in verification["metrics"].items():
            row |= {name: figure["value"], f"{name}_low": figure["low"],
                    f"{name}_high": figure["high"]}  # fmt: skip
        row |= {
            name: verification[name]
            for name in (
                "recall_drop", "specificity_drop", "auc_drop", "agreement", "mcnemar_p",
                "mean_probability_shift", "max_probability_shift", "max_logit_difference",
            )
        }  # fmt: skip
        row["flips"] = len(verification["to_pneumonia"]) + len(verification["to_normal"])
        for timing in variant["timings"]:
            threads = timing["threads"]
            row |= {
                f"p50_ms_{threads}": timing["p50_ms"],
                f"p95_ms_{threads}": timing["p95_ms"],
                f"load_ms_{threads}": timing["load_ms"],
                f"peak_memory_mb_{threads}": timing["peak_memory_mb"],
            }
        rows.append(row)
    return pd.DataFrame(rows)
