"""``cxr-edge calibrate``."""

import json
from pathlib import Path
from typing import Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.terminal import print_next, progress_bar, say_warnings
from cxr_edge_convert.limits import MIN_SITE_FILMS
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.defaults import MIN_SENSITIVITY


def calibrate(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="Folder of a bundle, or its name.")
    ],
    films: Annotated[
        Path,
        typer.Argument(
            metavar="METADATA|FOLDER",
            help="clean_metadata.csv of labelled films; or a folder of films, with --prevalence.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of the new bundle; must be missing or empty.",
        ),
    ],
    site: Annotated[
        str,
        typer.Option(metavar="NAME", help="Name of the site, appended to the name of the bundle."),
    ] = "local",
    min_sensitivity: Annotated[
        float,
        typer.Option(
            min=0.01, max=1.0, metavar="SHARE", help="Lowest sensitivity of the new threshold."
        ),
    ] = MIN_SENSITIVITY,
    min_films: Annotated[
        int,
        typer.Option(
            min=10,
            metavar="N",
            help="Least number of films per label; below 50 the bundle says so.",
        ),
    ] = MIN_SITE_FILMS,
    prevalence: Annotated[
        float | None,
        typer.Option(
            min=0.0001,
            max=0.9999,
            metavar="SHARE",
            help="Share of positive films, if labels are unknown.",
        ),
    ] = None,
    splits: options.Splits = Path("splits.csv"),
    root: options.Root = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Fit a bundle's threshold and probability to your films.

    The network is not changed. Films that the metadata calls test are left out. All figures are
    of films held out of the fit. Research use only. Not a medical device.
    """
    from cxr_edge.bundles.lookup import load_bundle

    result = cxr_edge.calibrate(
        load_bundle(bundle),
        films,
        output,
        site=site,
        min_sensitivity=min_sensitivity,
        min_films=min_films,
        prevalence=prevalence,
        splits=splits,
        root=root,
        threads=threads,
        progress=progress_bar,
    )
    manifest = result.bundle.manifest
    if as_json:
        typer.echo(json.dumps(result.as_dict()))
    else:
        _print(result)
    say_warnings(result.warnings)
    if not as_json:
        typer.echo(f"wrote {output}: {manifest.name}, digest {result.bundle.digest[:12]}")
        typer.echo(NOTICE)
        print_next("selftest", output)


def _print(result: "cxr_edge.CalibrationResult") -> None:
    manifest = result.bundle.manifest
    if result.after:
        width = max(map(len, result.after))
        typer.echo(f"{'':<{width}} {'before':<24}after, on films held out of the fit")
        for name, after in result.after.items():
            typer.echo(f"{name:<{width}} {result.before[name]!s:<24}{after}")
    if result.beyond_before is not None:
        typer.echo(
            f"suspicious by distance: {result.beyond_before} of the films before, "
            f"{result.beyond_after} after"
        )
    typer.echo(f"{manifest.positive_label} from {manifest.threshold.value:.4f} on")
