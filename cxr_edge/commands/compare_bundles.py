"""``cxr-edge compare-bundles``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cxr_edge
from cxr_edge.console import options
from cxr_edge.console.terminal import progress_bar, say, say_warnings

if TYPE_CHECKING:
    from cxr_edge_train.evaluation.bundle_comparison import BundleComparison


def compare_bundles(
    one: Annotated[str, typer.Argument(metavar="BUNDLE", help="The bundle in use.")],
    other: Annotated[str, typer.Argument(metavar="BUNDLE", help="The one that may replace it.")],
    films: Annotated[
        Path,
        typer.Argument(
            metavar="METADATA|FOLDER",
            help="clean_metadata.csv of labelled films, or a folder of films.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for a page with the films that change, and a table.  [default: none]",
        ),
    ] = None,
    splits: options.Splits = Path("splits.csv"),
    root: options.Root = None,
    threads: options.Threads = 1,
    as_json: options.AsJson = False,
) -> None:
    """Compare two bundles on the same films before an update.

    Shows changed decisions, probabilities, verdicts of the input gate, time and memory. Films that
    the metadata calls test are left out. Research use only. Not a medical device.
    """
    from cxr_edge.bundles.lookup import load_bundle

    comparison = cxr_edge.compare_bundles(
        load_bundle(one),
        load_bundle(other),
        films,
        output=output,
        splits=splits,
        root=root,
        threads=threads,
        progress=progress_bar,
    )
    if as_json:
        typer.echo(json.dumps(comparison.as_dict()))
    else:
        _print(comparison)
    say_warnings(comparison.warnings)
    if output:
        say(f"wrote {output}")


def _print(comparison: "BundleComparison") -> None:
    from cxr_edge_train.evaluation.bundle_comparison import comparison_lines

    for line in comparison_lines(comparison):
        typer.echo(line)
    for bundle in comparison.bundles:
        verdicts = ", ".join(f"{number} {verdict}" for verdict, number in bundle.verdicts.items())
        shares = "".join(
            f", {measure} {share}"
            for measure, share in (
                ("sensitivity", bundle.sensitivity),
                ("specificity", bundle.specificity),
            )
            if share is not None
        )
        typer.echo(
            f"{bundle.name} ({bundle.digest[:12]}): {verdicts}{shares}; "
            f"{bundle.timing.p50_ms:.2f} ms, {bundle.timing.peak_memory_mb:.0f} MB"
        )
    typer.echo(comparison.notice)
