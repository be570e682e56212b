"""What cleaning left out and what its checks found, from the report that it wrote."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import seaborn

from cxr_edge_train.cleaning.checks import registry
from cxr_edge_train.cleaning.checks.check import Check, IntervalPlot
from cxr_edge_train.cleaning.inventory import FlowRow
from cxr_edge_train.cleaning.report import CleaningReport, read_cleaning_report
from cxr_edge_train.dataset.metadata import report_path
from cxr_edge_train.reporting.figures import NEUTRAL, new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table

_STEPS = ("found", "readable", "unique", "kept")
# Longer lists are cut here; the report has them whole.
_MOST_ROWS = 25


def cleaning_sections(metadata: Path, table: pd.DataFrame, *, folder: Path) -> list[Section]:
    """Show the flow of files through cleaning, and the finding of each check.

    Args:
        metadata: the metadata file, beside which the report lies.
        table: the content of the metadata file.
        folder: where the plots are written; see :func:`plot_files`.

    Returns:
        One section for the flow and one for each check. Where the report is missing or belongs to
        other metadata, the sections say so.

    Raises:
        DatasetError: the report is damaged.
    """
    file = report_path(metadata)
    report = read_cleaning_report(file) if file.is_file() else None
    if report is None or not _belongs(report, table):
        reason = "is missing" if report is None else "does not match the metadata"
        text = f"{file.name} {reason}; run cxr-edge clean again."
        return [Section(title, [text]) for title in ("Cleaning", *map(_title, registry.CHECKS))]
    return [
        _flow(report),
        *(
            _section(check, report.findings[check.name], file)
            for check, file in zip(registry.CHECKS, plot_files(folder))
        ),
    ]


def plot_files(folder: Path) -> list[Path]:
    """Name the plot of each check; one without a plot writes none."""
    return [folder / f"{check.name}.png" for check in registry.CHECKS]


def _belongs(report: CleaningReport, table: pd.DataFrame) -> bool:
    counted = {(row.split, row.label): row.kept for row in report.flow if row.kept}
    return bool(counted == table.groupby(["split", "label"]).size().to_dict())


def _flow(report: CleaningReport) -> Section:
    rows = [_flow_row(row) for row in report.flow]
    total = [sum(getattr(row, step) for row in report.flow) for step in _STEPS]
    rows.append(["all", "", *_steps(total)])
    lost = total[0] - total[-1]
    return Section(
        "Cleaning",
        [
            f"Of {total[0]:,} files found below the label folders, {total[-1]:,} are kept and "
            f"{lost:,} are left out; the number in brackets is how many a step left out. No file "
            "was changed or deleted.",
        ],
        tables=[Table(["split", "label", *_STEPS], rows)],
    )


def _flow_row(row: FlowRow) -> list[str]:
    return [row.split, row.label, *_steps([getattr(row, step) for step in _STEPS])]


def _steps(counts: Sequence[int]) -> list[str]:
    return [f"{counts[0]:,}"] + [
        f"{after:,} (-{before - after:,})" if after < before else f"{after:,}"
        for before, after in itertools.pairwise(counts)
    ]


def _title(check: Check[Any]) -> str:
    return check.label.capitalize()


def _section(check: Check[Any], found: Any, file: Path) -> Section:
    summary = check.summarise(found)
    sentence = (
        f"Verdict: {summary.verdict.replace('_', ' ')}. {summary.text}"
        if summary.verdict
        else f"Found: {summary.text}."
    )
    paragraphs = [] if summary.alarm else [sentence]
    paragraphs.append(check.explanation)
    if len(summary.rows) > _MOST_ROWS:
        paragraphs.append(f"{len(summary.rows):,} were found; the first {_MOST_ROWS} are listed.")
    return Section(
        _title(check),
        paragraphs,
        alarm=sentence if summary.alarm else "",
        tables=[Table(summary.columns, summary.rows[:_MOST_ROWS])] if summary.rows else [],
        pictures=[_picture(summary.plot, file)] if summary.plot else [],
    )


def _picture(plot: IntervalPlot, file: Path) -> Picture:
    above = [name for name, metric in plot.intervals.items() if metric.value > plot.limit]
    beyond = f"Beyond the limit of {plot.limit:g}: {', '.join(above) if above else 'none'}."
    return Picture(_draw(plot, file), f"{plot.caption} {beyond}")


def _draw(plot: IntervalPlot, file: Path) -> Path:
    figure = new_figure(8.0, 1.4 + 0.4 * len(plot.intervals))
    axes = figure.subplots()
    for row, metric in enumerate(plot.intervals.values()):
        colour = "#B42318" if metric.value > plot.limit else NEUTRAL
        axes.plot([metric.low, metric.high], [row, row], color=colour, linewidth=2)
        axes.plot(metric.value, row, marker="o", color=colour)
    axes.axvline(plot.chance, color=NEUTRAL, linestyle=":", label="chance")
    axes.axvline(plot.limit, color="black", linestyle="--", label="limit")
    axes.set(
        title=plot.title, xlabel=plot.axis,
        yticks=range(len(plot.intervals)), yticklabels=list(plot.intervals),
    )  # fmt: skip
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    seaborn.despine(ax=axes)
    return save_figure(figure, file)
