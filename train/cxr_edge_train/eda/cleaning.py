"""What cleaning lost, and its verdicts on leaks and shortcuts, from the report it left."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import seaborn

from cxr_edge_train.cleaning.report import (
    CleaningReport,
    FlowRow,
    Leaks,
    Shortcuts,
    read_cleaning_report,
    report_path,
)
from cxr_edge_train.reporting.figures import NEUTRAL, new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table
from cxr_edge_train.statistics.intervals import Interval

_STEPS = ("found", "readable", "unique", "kept")
# Longer lists are cut here; the report has them whole.
_MOST_ROWS = 25


def cleaning_sections(
    metadata: Path, table: pd.DataFrame, *, shortcuts_file: Path
) -> list[Section]:
    """The cleaning flow, the leaks and the shortcuts; says so where the report is not there.

    Args:
        metadata: the metadata file, beside which the report lies.
        table: what it holds.
        shortcuts_file: PNG to write.

    Raises:
        DatasetError: the report is damaged.
    """
    file = report_path(metadata)
    report = read_cleaning_report(file) if file.is_file() else None
    if report is None or not _belongs(report, table):
        trouble = "is not here" if report is None else "counts other images than the metadata"
        words = f"{file.name} {trouble}; run cxr-edge clean again."
        return [Section(title, [words]) for title in ("Cleaning", "Leaks", "Shortcuts")]
    return [
        _flow(report),
        _leaks(report.leaks),
        _shortcuts(report.shortcuts, shortcuts_file),
    ]


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
            f"{lost:,} are left out; the number in brackets is what a step took away. No file was "
            "changed or deleted.",
            _near_in_words(report),
        ],
        tables=[
            Table(["split", "label", *_STEPS], rows),
            *_limited(
                ["first", "second", "correlation", "across splits", "across labels"],
                [
                    [
                        pair.first,
                        pair.second,
                        f"{pair.correlation:.4f}",
                        "yes" if pair.across_splits else "no",
                        "yes" if pair.across_labels else "no",
                    ]
                    for pair in report.near_duplicates
                ],
            ),
        ],
    )


def _flow_row(row: FlowRow) -> list[str]:
    return [row.split, row.label, *_steps([getattr(row, step) for step in _STEPS])]


def _steps(counts: Sequence[int]) -> list[str]:
    return [f"{counts[0]:,}"] + [
        f"{after:,} (-{before - after:,})" if after < before else f"{after:,}"
        for before, after in itertools.pairwise(counts)
    ]


def _near_in_words(report: CleaningReport) -> str:
    pairs = report.near_duplicates
    if not pairs:
        return "No near-duplicates were found."
    return (
        f"Pairs of near-duplicates: {len(pairs):,}, of them across splits "
        f"{sum(pair.across_splits for pair in pairs):,}, across labels "
        f"{sum(pair.across_labels for pair in pairs):,}."
        + (f" The first {_MOST_ROWS} are listed." if len(pairs) > _MOST_ROWS else "")
    )


def _leaks(leaks: Leaks) -> Section:
    leaking = leaks.verdict == "leak"
    rows = [
        *(["patient", patient, ""] for patient in leaks.patients),
        *(["same image", first, second] for first, second in leaks.exact),
        *(["nearly the same image", first, second] for first, second in leaks.near),
    ]
    words = [] if leaking else [f"Verdict: none. {leaks.words}"]
    if len(rows) > _MOST_ROWS:
        words.append(f"{len(rows):,} were found; the first {_MOST_ROWS} are listed.")
    return Section(
        "Leaks",
        words,
        alarm=f"Verdict: leak. {leaks.words}" if leaking else "",
        tables=_limited(["what", "first", "second"], rows),
    )


def _limited(columns: list[str], rows: list[list[str]]) -> list[Table]:
    return [Table(columns, rows[:_MOST_ROWS])] if rows else []


def _shortcuts(shortcuts: Shortcuts, file: Path) -> Section:
    alarming = shortcuts.verdict == "alarm"
    figures = {name.replace("_", " "): auc for name, auc in shortcuts.by_feature.items()}
    if shortcuts.auc is not None:
        figures = {"all together": shortcuts.auc, **figures}
    verdict = f"Verdict: {shortcuts.verdict.replace('_', ' ')}. {shortcuts.words}"
    above = [name for name, auc in figures.items() if auc.value > shortcuts.limit]
    return Section(
        "Shortcuts",
        [
            *([] if alarming else [verdict]),
            "A shortcut is a property of the file, not of the chest, that tells the label: a model "
            "that learns it fails wherever the files are made in another way.",
        ],
        alarm=verdict if alarming else "",
        tables=[
            Table(
                ["property", "AUC [95% interval]", "images"],
                [[name, str(auc), f"{auc.n:,}"] for name, auc in figures.items()],
            )
        ]
        if figures
        else [],
        pictures=[
            Picture(
                _draw_shortcuts(shortcuts, figures, file),
                "How well file properties alone tell the label, with 95% intervals. Dots near 0.5 "
                f"are harmless; look for those beyond the limit of {shortcuts.limit:g}: "
                f"{', '.join(above) if above else 'there are none'}.",
            )
        ]
        if figures
        else [],
    )


def _draw_shortcuts(shortcuts: Shortcuts, figures: dict[str, Interval], file: Path) -> Path:
    figure = new_figure(8.0, 1.4 + 0.4 * len(figures))
    axes = figure.subplots()
    for place, auc in enumerate(figures.values()):
        colour = "#B42318" if auc.value > shortcuts.limit else NEUTRAL
        axes.plot([auc.low, auc.high], [place, place], color=colour, linewidth=2)
        axes.plot(auc.value, place, marker="o", color=colour)
    axes.axvline(0.5, color=NEUTRAL, linestyle=":", label="chance")
    axes.axvline(shortcuts.limit, color="black", linestyle="--", label="limit")
    axes.set(
        title="Label from file properties alone", xlabel="area under the ROC curve (AUC)",
        yticks=range(len(figures)), yticklabels=list(figures),
    )  # fmt: skip
    axes.invert_yaxis()
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    seaborn.despine(ax=axes)
    return save_figure(figure, file)
