"""``cxr-edge classify``."""

import io
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge.console import options
from cxr_edge.process import exit_codes

if TYPE_CHECKING:
    from contextlib import ExitStack

    from cxr_edge.monitoring.log_writer import LogWriter
    from cxr_edge.writers.console import Writer
    from cxr_edge.writers.heatmaps import HeatmapWriter
    from cxr_edge_runtime.bundle import Bundle


def classify(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
            # One file without rights must not refuse the others.
            readable=False,
            help="Image files, folders, patterns, or - for paths on standard input, one a line.",
        ),
    ],
    as_json: options.AsJson = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write a row an image here too.")
    ] = None,
    heatmap: Annotated[
        Path | None,
        typer.Option(
            "--heatmap", metavar="DIR", help="Write each film with the activation map over it."
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search the folders in folders too.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Answer even where the image looks like no chest X-ray.")
    ] = False,
    log: options.Log = None,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            max=64,
            help="Images at once, or threads of the engine for a single image; all cores, or one, "
            "without it.",
        ),
    ] = None,
) -> None:
    """Classify chest X-rays: JPEG, PNG, TIFF, BMP, WebP or DICOM.

    Prints one line an image. Research use only. Not a medical device.

    Exit code 0 when every image was classified or found to be no chest X-ray, 3 when some failed, 1
    when all did or a file could not be written, 130 after Ctrl-C. Ctrl-C ends after the images
    under way; what is done is written.
    """
    from contextlib import ExitStack
    from itertools import chain, islice

    # Here, few calls deep: Python 3.11 fetches and returns memory with every call once its stack
    # is full to the brim, and deeper down the import of numpy took a tenth of the whole start so.
    import numpy  # noqa: F401

    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge.console.inputs import expand
    from cxr_edge.process.interruption import interruption
    from cxr_edge.process.memory import return_freed_memory
    from cxr_edge_runtime.batch import classify_all
    from cxr_edge_runtime.classifier import Classifier
    from cxr_edge_runtime.device import available_cores
    from cxr_edge_runtime.errors import CxrEdgeError

    return_freed_memory()
    # For all threads: filters that a thread sets for a while are everybody's, and pydicom's
    # warnings quote what is written in a film.
    warnings.simplefilter("ignore")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names of files are bytes
    loaded = load_bundle(bundle)
    pictures = _pictures(heatmap, loaded)
    with interruption() as interrupted, ExitStack() as files:
        inputs = interrupted.until(expand(images, recursive=recursive, stdin=sys.stdin))
        first = list(islice(inputs, 2))
        several = len(first) > 1
        # A single image has the cores to itself; of several each has one.
        workers = (threads or available_cores()) if several else 1
        engine_threads = 1 if several else (threads or 1)
        writers = _writers(loaded, as_json=as_json, csv=csv, files=files)
        logged = _log_writer(log, csv, loaded, files)
        if logged is not None:
            writers.append(logged)
        done = failed = 0
        for image, result in classify_all(
            chain(first, inputs),
            lambda: Classifier(
                loaded, threads=engine_threads, engine=engine, hash_images=log is not None
            ),
            workers=workers,
            force=force,
        ):
            for writer in writers:
                writer.write(image, result)
            if isinstance(result, CxrEdgeError):
                failed += 1
                continue
            done += 1
            if pictures and not pictures.write(image, result):
                failed += 1
        for writer in writers:
            writer.close()
    if logged is not None and logged.error is not None:
        raise logged.error
    if interrupted.number is not None:
        raise typer.Exit(exit_codes.of_signal(interrupted.number))
    if failed:
        raise typer.Exit(exit_codes.of_failures(others_done=done > 0))


def _writers(
    bundle: "Bundle", *, as_json: bool, csv: Path | None, files: "ExitStack"
) -> "list[Writer]":
    from cxr_edge.writers.console import JsonWriter, TableWriter

    writers: list[Writer] = [JsonWriter(bundle) if as_json else TableWriter(bundle)]
    if csv is not None:
        from cxr_edge.writers.csv_file import CsvWriter, check_replaceable
        from cxr_edge_runtime.files import replacing

        check_replaceable(csv)
        temporary = files.enter_context(replacing(csv))
        file = files.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        writers.append(CsvWriter(file, bundle, csv))
    return writers


def _log_writer(
    log: Path | None, csv: Path | None, bundle: "Bundle", files: "ExitStack"
) -> "LogWriter | None":
    if log is None:
        return None
    from cxr_edge.monitoring.log_writer import LogWriter
    from cxr_edge.monitoring.prediction_log import PredictionLog
    from cxr_edge_runtime.errors import InvalidRequest

    if csv is not None and csv.resolve() == log.resolve():
        raise InvalidRequest(f"--log {log}: is the file of --csv, too; choose another one")
    writer = LogWriter(PredictionLog(log), bundle)
    files.callback(writer.close)
    return writer


def _pictures(folder: Path | None, bundle: "Bundle") -> "HeatmapWriter | None":
    if folder is None:
        return None
    from cxr_edge.writers.heatmaps import HeatmapWriter

    return HeatmapWriter(folder, bundle)
