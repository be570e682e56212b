"""``cxr-edge score``."""

import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

import cxr_edge
from cxr_edge.bundles.notice import notice_of
from cxr_edge.console import options
from cxr_edge.console.terminal import printable, progress_bar, say, say_if_rejected
from cxr_edge.process import exit_codes
from cxr_edge.process.interruption import first_signal
from cxr_edge_runtime.counting import counted

if TYPE_CHECKING:
    from cxr_edge_train.progress import Progress

T = TypeVar("T")


def score(
    films: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder, searched with all below it; a text file with a path or URL per line; "
            "or a .parquet file with a column file or path. Local, or any fsspec URL.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of Parquet files, local or any fsspec URL; images already there are "
            "skipped.",
        ),
    ],
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="A Ray cluster, or auto for that of this machine.  [default: start Ray here]",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Images at once.  [default: one per core]"
        ),
    ] = None,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    prevalence: options.Prevalence = None,
    allow_rejected: options.AllowRejected = False,
    log: options.Log = None,
) -> None:
    """Score an archive with Ray into a folder of Parquet files.

    On one machine or on a cluster. A second run scores only images without a row. Research use
    only. Not a medical device.

    Exit code 0 when every image was classified or rejected by the input gate, 3 when some
    failed, 1 when all did or the work cannot continue, 130 after Ctrl-C; rows already written stay.
    """
    # pydicom's quote what is written in a film, Ray's are for programmers.
    warnings.simplefilter("ignore")
    with first_signal(_stop):
        result = cxr_edge.score(
            films,
            output,
            bundle=bundle,
            engine=engine,
            address=address,
            workers=workers,
            log=log,
            prevalence=prevalence,
            allow_rejected=allow_rejected,
            progress=_announced_bar,
        )
    say_if_rejected(result.bundle.manifest)
    if result.to_score:
        typer.echo(
            f"scored: {result.scored}, of which {result.classified} have a prediction, "
            f"{result.rejected} were rejected by the input gate and {result.failed} have an error"
        )
    if result.named > result.to_score:
        skipped = result.named - result.to_score
        typer.echo(f"skipped: {skipped}, which have a row or were named before")
    typer.echo(f"results: {printable(result.results)}")
    typer.echo(f"{notice_of(result.bundle)}.")
    if result.error is not None:
        say(f"cxr-edge: {counted(result.failed, 'film')} with an error, such as {result.error}")
    if result.lost:
        say(
            f"cxr-edge: {counted(result.lost, 'film')} without a row: each worker that scored them "
            "ended, as Ray's logs tell; a second run tries again"
        )
    if result.lost or result.failed:
        others_done = result.classified + result.rejected > 0
        raise typer.Exit(exit_codes.of_failures(others_done=others_done))


def _announced_bar(label: str) -> "Progress":
    """A bar that says before how many films there are."""
    bar = progress_bar(label)

    def watch(items: Iterable[T], total: int) -> Iterable[T]:
        say(f"{counted(total, 'film')} to score")
        return bar(items, total) if total else items

    return watch


def _stop(number: int) -> None:
    """End the command: a batch under way is scored by the next run."""
    say("cxr-edge: stopped; rows already written stay, and the same command resumes")
    sys.exit(exit_codes.of_signal(number))
