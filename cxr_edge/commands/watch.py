"""``cxr-edge watch``."""

import warnings
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.bundles.notice import notice_of
from cxr_edge.console import options
from cxr_edge.console.durations import duration
from cxr_edge.console.terminal import printable, say
from cxr_edge.process import exit_codes
from cxr_edge.process.memory import fix_mmap_threshold
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest


def watch(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Folder where films come in, searched with all below it."
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Folder for answers.jsonl; answered files move to its done/ or failed/.",
        ),
    ],
    settle: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="A file is complete when it has not changed for this long."
        ),
    ] = "5s",
    dicom_out: options.DicomOut = None,
    log: options.Log = None,
    log_keep: options.LogKeep = None,
    bundle: options.BundleOption = None,
    prevalence: options.Prevalence = None,
    allow_rejected: options.AllowRejected = False,
    threads: options.Threads = 1,
) -> None:
    """Classify films as they come into a folder.

    Runs until Ctrl-C or SIGTERM, and resumes after it was killed. For each file, DIR/answers.jsonl
    gets one line like those of classify --json. Research use only. Not a medical device.
    """
    from contextlib import ExitStack

    from cxr_edge.bundles.lookup import load_accepted_bundle
    from cxr_edge.process.interruption import interruption
    from cxr_edge.watching.watch import check_apart
    from cxr_edge.watching.watch import watch as run

    fix_mmap_threshold()
    # pydicom's warnings quote what is written in a film.
    warnings.simplefilter("ignore")
    loaded = load_accepted_bundle(bundle, allow_rejected=allow_rejected)
    settle_s = duration(settle, option="--settle", example="5s").total_seconds()
    keep = options.log_keep(log_keep, log)

    def show(name: str, result: object) -> None:
        if isinstance(result, CxrEdgeError):
            say(f"cxr-edge: {result}")
        else:
            typer.echo(f"{getattr(result, 'label', None) or '–'}  {printable(name)}")

    def absent(gone: bool) -> None:
        what = "is missing or cannot be read; waiting for it" if gone else "is back"
        say(f"cxr-edge: {folder}: {what}")

    for output in (log, dicom_out):
        if output is not None:
            check_apart(folder, output)
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest(f"{folder}: is not a folder; name the one where films come in")

    with ExitStack() as opened:
        recorder = None
        if log is not None:
            from cxr_edge.monitoring.log_writer import PATIENCE_S, PredictionRecorder
            from cxr_edge.monitoring.prediction_log import PredictionLog

            rows = PredictionLog(log, keep=keep, patience_s=PATIENCE_S)
            opened.callback(rows.close)
            recorder = PredictionRecorder(rows, lambda error: say(f"cxr-edge: {error}"))
        dicom = None
        if dicom_out is not None:
            from cxr_edge.writers.dicom_files import DicomWriter

            dicom = DicomWriter(dicom_out, loaded)
        interrupted = opened.enter_context(
            interruption(lambda: say("cxr-edge: stopping after the film in progress"))
        )
        typer.echo(f"{notice_of(loaded)}.")
        done = run(
            folder,
            to,
            loaded,
            interrupted=interrupted,
            settle_s=settle_s,
            threads=threads,
            prevalence=prevalence,
            log=recorder,
            dicom=dicom,
            on_unwritten=lambda name, why: say(
                f"cxr-edge: no DICOM answer of {name}: {why.removeprefix(f'{folder / name}: ')}"
            ),
            on_result=show,
            on_absent=absent,
            on_unreadable=lambda path, why: say(f"cxr-edge: {path}: {why}; it is left alone"),
        )
    say(f"{done} files answered or failed: {to / 'answers.jsonl'}")
    if interrupted.number is not None:
        raise typer.Exit(exit_codes.of_signal(interrupted.number))
