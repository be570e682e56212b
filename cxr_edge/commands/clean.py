"""``cxr-edge clean``."""

import json
from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.terminal import print_next, progress_bar, say, say_warnings
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import InvalidRequest, LimitMissed
from cxr_edge_train.defaults import default_cache_dir


def clean(
    data_dir: Annotated[
        Path,
        typer.Argument(
            metavar="DATA_DIR",
            help="Folder with train|val|test / NORMAL|PNEUMONIA (val and test may be absent), with "
            "NORMAL|PNEUMONIA, or, with --labels, with images anywhere in it.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The metadata file to write.")
    ] = Path("clean_metadata.csv"),
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file with the columns path or file (relative to DATA_DIR) and label; "
            "optionally patient, split and any others, which go into the metadata.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN,…",
            help="Names that these columns have in --labels, such as path=filename.",
        ),
    ] = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OLD=NEW,…", help="Rename labels and label folders."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            help="The label of the finding, for classes other than NORMAL and PNEUMONIA.",
        ),
    ] = None,
    patient_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the patient in a file name: the group named 'patient', else the first.  "
            "[default: the file names of the Kermany set]",
        ),
    ] = None,
    patient_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Name the patients of DICOM files by HMAC with the secret key in this file.  "
            "[default: numbers]",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="Exit with 4 when test holds images or patients of train or val."
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check every image of a data set; write its metadata.

    Unreadable files, exact duplicates and images with two labels are left out and listed in a
    second file; near-duplicates, leaks into test and shortcuts (file properties that predict the
    label) are reported in a third. No image is changed or deleted.
    """
    result = cxr_edge.clean(
        data_dir,
        output,
        labels=labels,
        columns=_pairs(columns, "--columns"),
        map=_pairs(label_map, "--map"),
        positive=positive,
        patient_pattern=patient_pattern,
        patient_key=patient_key,
        cache_dir=default_cache_dir(),
        progress=progress_bar,
    )
    if as_json:
        typer.echo(json.dumps(result.report.as_dict()))
    else:
        _print(result)
    say_warnings(result.warnings)
    if result.unknown_patients:
        say("Give --patient-pattern if the file names identify the patients.")
    if strict and result.has_leak:
        raise LimitMissed("test holds what training has seen, and --strict allows no leak")
    if not as_json:
        print_next("eda", result.metadata, "-o", "eda")


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """``A=B,C=D`` as a dictionary."""
    pairs: dict[str, str] = {}
    begun = ""
    for part in ",".join(given).split(",") if given else []:
        begun, text = "", begun + part
        if "=" not in text:  # a label may have a comma
            begun = f"{text},"
            continue
        old, equals, new = (side.strip() for side in text.partition("="))
        if not (old and equals and new):
            raise InvalidRequest(f"{option} takes OLD=NEW, separated by commas; not {text!r}")
        if pairs.setdefault(old, new) != new:
            raise InvalidRequest(f"{option} names {old} twice")
    if begun:
        raise InvalidRequest(f"{option} takes OLD=NEW, separated by commas; not {begun[:-1]!r}")
    return pairs


def _print(result: "cxr_edge.CleaningResult") -> None:
    typer.echo(f"{'split':<6} {'label':<10}{'found':>7}{'readable':>10}{'unique':>8}{'kept':>7}")
    for row in result.report.flow:
        typer.echo(
            f"{row.split:<6} {row.label:<10}{row.found:>7}{row.readable:>10}{row.unique:>8}"
            f"{row.kept:>7}"
        )
    for label, summary in result.summaries.items():
        typer.echo(f"{label}: {summary}")
    typer.echo(f"kept {counted(result.kept, 'image')}: {result.metadata}")
    typer.echo(f"left out {counted(result.left_out, 'file')}: {result.left_out_list}")
    typer.echo(f"report: {result.report_file}")
