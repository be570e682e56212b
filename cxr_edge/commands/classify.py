"""``cxr-edge classify``."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge import options
from cxr_edge.terminal import say
from cxr_edge_runtime.errors import InvalidRequest

if TYPE_CHECKING:
    from contextlib import ExitStack

    from cxr_edge.results import Writer
    from cxr_edge_runtime.bundle import Bundle
    from cxr_edge_runtime.classifier import Prediction

# Some images failed, the others were classified.
EXIT_SOME_FAILED = 3
EXIT_ALL_FAILED = 1


def classify(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
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
    when all did. Ctrl-C ends after the images under way; what is done is written.
    """
    from contextlib import ExitStack
    from itertools import chain, islice

    # Here, few calls deep: Python 3.11 fetches and returns memory with every call once its stack
    # is full to the brim, and deeper down the import of numpy took a tenth of the whole start so.
    import numpy  # noqa: F401

    from cxr_edge.bundles import load_bundle
    from cxr_edge.inputs import expand
    from cxr_edge.interruption import interruption
    from cxr_edge.memory import return_films
    from cxr_edge_runtime.batch import classify_all
    from cxr_edge_runtime.classifier import Classifier
    from cxr_edge_runtime.errors import CxrEdgeError

    return_films()
    loaded = load_bundle(bundle)
    if heatmap and "cam" not in loaded.manifest.outputs:
        raise InvalidRequest("--heatmap: the model of this bundle gives no activation map")
    with interruption() as interrupted, ExitStack() as files:
        inputs = interrupted.until(expand(images, recursive=recursive, stdin=sys.stdin))
        first = list(islice(inputs, 2))
        several = len(first) > 1
        # A single image has the cores to itself; of several each has one.
        workers = (threads or len(os.sched_getaffinity(0))) if several else 1
        engine_threads = 1 if several else (threads or 1)
        writers = _writers(loaded, as_json=as_json, csv=csv, files=files)
        done = failed = 0
        for image, result in classify_all(
            chain(first, inputs),
            lambda: Classifier(loaded, threads=engine_threads, engine=engine),
            workers=workers,
            force=force,
        ):
            for writer in writers:
                writer.write(image, result)
            if isinstance(result, CxrEdgeError):
                failed += 1
                continue
            done += 1
            if heatmap and not _write_heatmap(heatmap, image, result, loaded):
                failed += 1
        for writer in writers:
            writer.close()
    if interrupted.number is not None:
        raise typer.Exit(interrupted.exit_code)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED if done else EXIT_ALL_FAILED)


def _writers(
    bundle: "Bundle", *, as_json: bool, csv: Path | None, files: "ExitStack"
) -> "list[Writer]":
    from cxr_edge.results import JsonWriter, TableWriter

    writers: list[Writer] = [JsonWriter(bundle) if as_json else TableWriter(bundle)]
    if csv is not None:
        from cxr_edge.csv_results import CsvWriter
        from cxr_edge_runtime.files import replacing

        temporary = files.enter_context(replacing(csv))
        file = files.enter_context(temporary.open("w", encoding="utf-8", newline=""))
        writers.append(CsvWriter(file, bundle))
    return writers


def _write_heatmap(folder: Path, image: Path, prediction: "Prediction", bundle: "Bundle") -> bool:
    """Write ``folder/NAME.heatmap.png``; True unless it could not be written."""
    if prediction.activation_map is None or prediction.probability is None:
        return True  # the gate rejected it
    from cxr_edge_runtime.errors import ImageError
    from cxr_edge_runtime.files import replacing
    from cxr_edge_runtime.heatmap import draw_heatmap
    from cxr_edge_runtime.images import read_grey

    manifest = bundle.manifest
    caption = (
        f"{prediction.label}, probability of {manifest.positive_label} "
        f"{prediction.probability:.3f}. {manifest.notice}"
    )
    # Films of one name in different folders must not replace each other.
    name = "_".join(part for part in image.parts if part not in (image.anchor, "..", "."))
    try:
        picture = draw_heatmap(
            read_grey(image).pixels,
            prediction.activation_map,
            caption,
            positive_label=manifest.positive_label,
        )
        with replacing(folder / f"{name}.heatmap.png") as temporary:
            picture.save(temporary)
    except (OSError, ImageError) as error:
        say(f"cxr-edge: no heat map of {image}: {error}")
        return False
    return True
