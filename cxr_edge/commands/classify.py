"""``cxr-edge classify``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge import options
from cxr_edge.terminal import printable, say

# Some images failed, the others were classified.
EXIT_SOME_FAILED = 3
EXIT_ALL_FAILED = 1


def classify(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...", help="Image files, or folders with images directly in them."
        ),
    ],
    as_json: options.AsJson = False,
    bundle: options.BundleOption = None,
    threads: options.Threads = 1,
) -> None:
    """Classify chest X-rays: JPEG, PNG, TIFF, BMP or WebP.

    Prints one line an image. Research use only. Not a medical device.

    Exit code 0 when every image was classified, 3 when some failed, 1 when all did.
    """
    from cxr_edge.bundles import load_bundle
    from cxr_edge.inputs import expand
    from cxr_edge_runtime.classifier import Classifier, error_as_json, result_as_json
    from cxr_edge_runtime.errors import ImageError

    classifier = Classifier(load_bundle(bundle), threads=threads)
    manifest = classifier.bundle.manifest
    done = failed = 0
    for image, folder_error in expand(images):
        try:
            if folder_error:
                raise folder_error
            prediction = classifier.classify(image)
        except ImageError as error:
            failed += 1
            if as_json:
                typer.echo(json.dumps(error_as_json(str(image), error)))
            else:
                say(f"cxr-edge: {error}")
            continue
        if as_json:
            typer.echo(json.dumps(result_as_json(str(image), prediction, classifier.bundle)))
        else:
            for warning in prediction.warnings:
                say(f"warning: {image}: {warning}")
            if not done:
                typer.echo("label      probability  threshold  file")
            typer.echo(
                f"{prediction.label:<9}  {prediction.probability:>11.3f}  "
                f"{prediction.threshold:>9.3f}  {printable(str(image))}"
            )
        done += 1
    if done and not as_json:
        typer.echo(
            f"{manifest.notice} Model: {manifest.name} {manifest.version} "
            f"({classifier.bundle.digest[:12]})."
        )
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED if done else EXIT_ALL_FAILED)
