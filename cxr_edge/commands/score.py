"""``cxr-edge score``."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import printable, progress_bar, say
from cxr_edge.process import exit_codes

if TYPE_CHECKING:
    from cxr_edge.monitoring.prediction_log import PredictionLog
    from cxr_edge.scoring.worker import Report


@dataclass(slots=True)
class _Tally:
    """What came of the films of this run; see :class:`cxr_edge.scoring.worker.Report`."""

    answered: int = 0
    rejected: int = 0
    failed: int = 0
    error: str | None = None

    def add(self, report: "Report") -> None:
        self.answered += report.answered
        self.rejected += report.rejected
        self.failed += report.failed
        self.error = self.error or report.error

    @property
    def films(self) -> int:
        return self.answered + self.rejected + self.failed


def score(
    films: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A folder, searched with all below it; a text file with a path or URL a line; or "
            "a .parquet file with a column file or path. Each local or any fsspec URL.",
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder of Parquet files, local or any fsspec URL; what it holds is passed over.",
        ),
    ],
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="A Ray cluster, auto for that of this machine; this machine alone without it.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Films at once; all cores without it."),
    ] = None,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    log: options.Log = None,
) -> None:
    """Score an archive with Ray into a folder of Parquet files.

    On one machine or on a cluster. A second run scores only what has no row yet. Research use
    only. Not a medical device.

    Exit code 0 when every film has an answer or was found to be no chest X-ray, 3 when some
    failed, 1 when all did or the work cannot go on, 130 after Ctrl-C; what is written stays.
    """
    from contextlib import ExitStack, closing

    from cxr_edge.bundles.lookup import load_bundle, notice_of
    from cxr_edge.monitoring.prediction_log import PredictionLog
    from cxr_edge.process.interruption import first_signal
    from cxr_edge.scoring.backlog import Backlog
    from cxr_edge.scoring.cluster import check, cluster
    from cxr_edge.scoring.listing import film_names
    from cxr_edge.scoring.results import ResultsFolder
    from cxr_edge.scoring.worker import Job
    from cxr_edge_runtime.errors import ImageNotFound

    # pydicom's quote what is written in a film, Ray's are for programmers.
    warnings.simplefilter("ignore")
    loaded = load_bundle(bundle)
    results = ResultsFolder(output)
    if address is not None:
        check(address)
    tally = _Tally()
    with first_signal(_stop), ExitStack() as opened:
        shown = opened.enter_context(results.in_use())
        backlog = opened.enter_context(Backlog.opened())
        backlog.pass_over(results.written(loaded.digest))
        named = backlog.add(film_names(films))
        if not named:
            raise ImageNotFound(f"{films}: names no film")
        missing = len(backlog)
        say(f"{missing} films to score")
        appended = opened.enter_context(closing(PredictionLog(log))) if log else None
        if missing:
            job = Job.of(
                loaded,
                engine=engine,
                output=output,
                shown=shown,
                logged=log is not None,
            )
            with cluster(address, workers) as count:
                from cxr_edge.scoring.pipeline import score_all

                reports = score_all(backlog, job, workers=count)
                done = _counted(reports, tally, appended)
                for _ in progress_bar("Scoring")(done, missing):
                    pass
    if missing:
        typer.echo(
            f"scored: {tally.films}, of which {tally.answered} have an answer, {tally.rejected} "
            f"were rejected by the input gate and {tally.failed} have an error"
        )
    if named > missing:
        typer.echo(f"passed over: {named - missing}, which have a row or were named before")
    typer.echo(f"results: {printable(results.place)}")
    typer.echo(f"{notice_of(loaded)}.")
    if tally.error is not None:
        say(f"cxr-edge: {tally.failed} of the films have an error, such as {tally.error}")
    lost = missing - tally.films
    if lost:
        say(
            f"cxr-edge: {lost} films have no row, since every worker that was at them failed, as "
            "Ray's logs say; a second run tries them again"
        )
    if lost or tally.failed:
        scored = tally.answered + tally.rejected
        raise typer.Exit(exit_codes.of_failures(others_done=scored > 0))


def _counted(
    reports: "Iterable[Report]", tally: _Tally, log: "PredictionLog | None"
) -> Iterator[None]:
    """Take reports; an item for each film."""
    for report in reports:
        tally.add(report)
        if log is not None:
            log.append(report.logged)
        yield from (None for _ in range(report.films))


def _stop(number: int) -> None:
    """End the command: a batch under way is scored by the next run."""
    say("cxr-edge: stopped; what is written stays, and the same command goes on from there")
    sys.exit(exit_codes.of_signal(number))
