"""``cxr-edge clean``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import progress_bar, say

if TYPE_CHECKING:
    from cxr_edge_train.cleaning.report import CleaningReport


def clean(
    data_dir: Annotated[
        Path,
        typer.Argument(
            help="Folder with train|val|test / NORMAL|PNEUMONIA; val and test may be absent."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The metadata file to write.")
    ] = Path("clean_metadata.csv"),
    patient_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the patient in a file name: the group named 'patient', else the first.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 4 when test holds what training has seen.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check every image of a data set and write clean_metadata.csv.

    Unreadable files, exact duplicates and images under two labels are left out and listed in a
    second file; near-duplicates, leaks into test and shortcuts to the label are reported in a
    third. No image is changed or deleted.
    """
    import json

    from cxr_edge_runtime.errors import LimitMissed
    from cxr_edge_train.cleaning.clean import clean as clean_dataset
    from cxr_edge_train.cleaning.report import report_path
    from cxr_edge_train.dataset.metadata import left_out_path
    from cxr_edge_train.dataset.patients import compile_patient_pattern
    from cxr_edge_train.defaults import default_cache_dir

    pattern = compile_patient_pattern(patient_pattern) if patient_pattern else None
    result = clean_dataset(
        data_dir,
        output,
        pattern=pattern,
        cache_dir=default_cache_dir(),
        progress=progress_bar,
    )
    if result.trouble:
        say(f"warning: {result.trouble}")
    if result.unknown_patients:
        say(
            f"warning: the patient of {result.unknown_patients} of {result.kept} images is "
            "unknown; each counts as a patient of its own, so films of one person may fall on both "
            "sides of a split. Give --patient-pattern if the file names tell."
        )
    if as_json:
        typer.echo(json.dumps(result.report.as_dict()))
    else:
        _print_report(result.report)
        typer.echo(f"kept {result.kept} images: {output}")
        typer.echo(f"left out {result.left_out} files: {left_out_path(output)}")
        typer.echo(f"report: {report_path(output)}")
    if strict and result.report.leaks.verdict == "leak":
        raise LimitMissed("test holds what training has seen, and --strict allows no leak")


def _print_report(report: "CleaningReport") -> None:
    from cxr_edge_train.cleaning.near_duplicates import MAX_PAIRS

    typer.echo(f"{'split':<6} {'label':<10}{'found':>7}{'readable':>10}{'unique':>8}{'kept':>7}")
    for row in report.flow:
        typer.echo(
            f"{row.split:<6} {row.label:<10}{row.found:>7}{row.readable:>10}{row.unique:>8}"
            f"{row.kept:>7}"
        )
    near = report.near_duplicates
    across_splits = sum(pair.across_splits for pair in near)
    across_labels = sum(pair.across_labels for pair in near)
    typer.echo(
        f"near-duplicates: {len(near)} pairs{' (no more are listed)' * (len(near) == MAX_PAIRS)}, "
        f"{across_splits} across splits, {across_labels} across labels"
    )
    typer.echo(f"leaks: {report.leaks.verdict}. {report.leaks.words}")
    typer.echo(f"shortcuts: {report.shortcuts.verdict}. {report.shortcuts.words}")
