"""``cxr-edge classify``."""

import sys
import warnings
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.results import JsonWriter, TableWriter, counts_line
from cxr_edge.console.terminal import say
from cxr_edge.process import exit_codes
from cxr_edge.process.memory import fix_mmap_threshold
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import left_temporaries
from cxr_edge_runtime.files.outputs import is_stdout


def classify(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
            # One file without rights must not refuse the others.
            readable=False,
            help="Image files, folders, patterns, or - for paths on standard input, one per line.",
        ),
    ],
    as_json: options.AsJson = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", help="Also write one row per image to this CSV file."
        ),
    ] = None,
    heatmap: Annotated[
        Path | None,
        typer.Option(
            "--heatmap",
            metavar="DIR",
            help="Also write a heat map of each image to this folder.",
        ),
    ] = None,
    dicom_out: options.DicomOut = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also search subfolders.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also classify images that the input gate rejects."),
    ] = False,
    log: options.Log = None,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    prevalence: options.Prevalence = None,
    allow_rejected: options.AllowRejected = False,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            max=64,
            metavar="N",
            help="Images at once, or, for a single image, threads of the engine.  [default: all "
            "cores, or 1]",
        ),
    ] = None,
) -> None:
    """Classify chest X-rays: JPEG, PNG, TIFF, BMP, WebP, DICOM.

    Prints one line per image. Research use only. Not a medical device.

    Exit code 0 when every image was classified or rejected by the input gate, 3 when some failed,
    1 when all did or a file could not be written, 130 after Ctrl-C, which finishes the images in
    progress and keeps all results so far.
    """
    # Here, few calls deep: Python 3.11 fetches and returns memory with every call once its stack
    # is full to the brim, and deeper down the import of numpy took a tenth of the whole start so.
    import numpy  # noqa: F401

    from cxr_edge.writers.classified_files import Outputs, classify_files

    if as_json and is_stdout(csv):
        raise InvalidRequest("--json and --csv would both write to standard output; choose one")
    for rows in left_temporaries(csv) if csv else ():
        say(f"cxr-edge: {rows}: rows of a call that was killed, or that is still writing {csv}")
    fix_mmap_threshold()
    # For all threads: filters that one thread sets for a while hold for all, and pydicom's
    # warnings quote what is written in a film.
    warnings.simplefilter("ignore")
    began = perf_counter()
    counts = classify_files(
        images,
        bundle,
        Outputs(csv=csv, heatmaps=heatmap, log=log, dicom=dicom_out),
        shown=JsonWriter if as_json else partial(TableWriter, err=is_stdout(csv)),
        on_signal=lambda: say(
            "cxr-edge: stopping after the images in progress; press Ctrl-C again to stop at once"
        ),
        on_unwritten=lambda image, what, why: say(
            f"cxr-edge: no {what} of {image}: {why.removeprefix(f'{image}: ')}"
        ),
        recursive=recursive,
        stdin=sys.stdin,
        force=force,
        engine=engine,
        threads=threads,
        prevalence=prevalence,
        allow_rejected=allow_rejected,
    )
    looked_at = counts.classified + counts.failed
    written = (None if is_stdout(csv) else csv, heatmap, dicom_out, log)
    if not as_json and (looked_at > 1 or any(written)):
        line = counts_line(counts, perf_counter() - began, written)
        typer.echo(line, err=is_stdout(csv))
    if counts.signal is not None:
        # The same file would lose the rows that it has.
        how = ", with another --csv" if csv else ""
        say(f"cxr-edge: stopped after {counted(looked_at, 'image')}; classify the others{how}")
        raise typer.Exit(exit_codes.of_signal(counts.signal))
    if counts.failed or counts.unwritten:
        raise typer.Exit(exit_codes.of_failures(others_done=counts.classified > 0))
