"""Scoring an archive, from the input to the result."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

from cxr_edge.bundles.lookup import load_accepted_bundle
from cxr_edge.monitoring import prediction_log
from cxr_edge.monitoring.prediction_log import PredictionLog
from cxr_edge.scoring.backlog import Backlog
from cxr_edge.scoring.cluster import check, cluster
from cxr_edge.scoring.listing import film_names
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.scoring.worker import Job, Report
from cxr_edge_runtime.arguments import (
    as_whole_number,
    check_callables,
    check_flags,
    optional_path,
)
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.engines import engines_for
from cxr_edge_runtime.errors import ImageNotFound, InvalidRequest
from cxr_edge_runtime.probability import check_prevalence
from cxr_edge_train.progress import ProgressFactory, no_progress


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The result of scoring an archive.

    Attributes:
        bundle: the bundle that scored the films.
        results: path or URL of the folder of results.
        named: how many films the input names.
        to_score: how many of them had no row before.
        classified: how many of these now have a probability.
        rejected: how many the input gate rejected.
        failed: how many have an error in place of a result.
        error: one of those errors; None where there is none.
    """

    bundle: Bundle
    results: str
    named: int
    to_score: int
    classified: int
    rejected: int
    failed: int
    error: str | None

    @property
    def scored(self) -> int:
        """How many films got a row."""
        return self.classified + self.rejected + self.failed

    @property
    def lost(self) -> int:
        """How many films have no row, since every worker that had them ended."""
        return self.to_score - self.scored


def score(
    films: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    bundle: str | os.PathLike[str] | Bundle | None = None,
    engine: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    log: str | os.PathLike[str] | None = None,
    prevalence: float | None = None,
    allow_rejected: bool = False,
    progress: ProgressFactory = no_progress,
) -> ScoreResult:
    """Score an archive of films with Ray into a folder of Parquet files.

    Films that the folder holds already are skipped, so the same call resumes an earlier one
    that was stopped. The columns are those of :class:`cxr_edge.writers.csv_file.ResultRow`.

    Args:
        films: a folder, searched with all below it; a text file with a path or URL per line; or a
            Parquet file with a column ``file`` or ``path``. Each local or any URL of fsspec.
        output: folder of the results, local or any URL of fsspec.
        bundle: see :func:`cxr_edge.bundles.lookup.load_bundle`.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.
        address: ``HOST:PORT`` of a Ray cluster, or ``auto`` for the one that this machine belongs
            to; by default Ray is started on this machine for the length of the call.
        workers: films at once; by default one per processor core.
        log: append a row per film to this log of predictions, for :func:`cxr_edge.check_drift`.
        prevalence: the share of pneumonias among the films; see :class:`cxr_edge.Classifier`.
        allow_rejected: see :class:`cxr_edge.Classifier`.
        progress: shows how many of the films are done.

    Returns:
        How many films were classified, rejected or failed.

    Raises:
        InvalidRequest: the input or output is something else, or holds another bundle's results.
        ImageNotFound: the input names no film.
        CxrEdgeError: the bundle, the log, the storage or Ray cannot be used.

    Examples:
        >>> result = score("films", "scores", bundle="tiny", workers=1)
        >>> result.scored, result.failed
        (2, 0)
    """
    source, location = _location(films, "films"), _location(output, "output")
    if workers is not None:
        workers = as_whole_number(workers, "workers")
    check_callables(progress=progress)
    if address is not None and not isinstance(address, str):
        raise InvalidRequest(f"address must be text, not {address!r}")
    log_file = optional_path(log, "log")
    check_flags(allow_rejected=allow_rejected)
    results = ResultsFolder(location)
    results.check_output()
    if log_file is not None:
        prediction_log.check_output(log_file)
    loaded = load_accepted_bundle(bundle, allow_rejected=allow_rejected)
    if prevalence is not None:
        check_prevalence(prevalence, loaded.manifest)
    engines_for(loaded.manifest.model.format, engine)
    if address is not None:
        check(address)
    tally = _Tally()
    with ExitStack() as opened:
        mark = opened.enter_context(results.in_use())
        backlog = opened.enter_context(Backlog.opened())
        stated = loaded.manifest.prevalence if prevalence is None else prevalence
        backlog.pass_over(results.written(loaded.digest, prevalence=stated))
        named = backlog.add(film_names(source))
        if not named:
            raise ImageNotFound(f"{source}: names no film")
        to_score = len(backlog)
        logged = opened.enter_context(closing(PredictionLog(log_file))) if log_file else None
        job = Job.of(
            loaded,
            engine=engine,
            prevalence=prevalence,
            output=results.location,
            mark=mark,
            logged=logged is not None,
        )
        films_done = _scored(backlog, job, tally, logged, address=address, workers=workers)
        for _ in progress("Scoring")(films_done, to_score):
            pass
    return ScoreResult(
        bundle=loaded,
        results=results.location,
        named=named,
        to_score=to_score,
        classified=tally.classified,
        rejected=tally.rejected,
        failed=tally.failed,
        error=tally.error,
    )


def _location(value: object, name: str) -> str:
    """A path or URL, which no Path may change."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise InvalidRequest(f"{name} must be a path or URL, not {value!r}")
    return os.fsdecode(value)


@dataclass(slots=True)
class _Tally:
    """What came of the films so far; see :class:`cxr_edge.scoring.worker.Report`."""

    classified: int = 0
    rejected: int = 0
    failed: int = 0
    error: str | None = None

    def add(self, report: Report) -> None:
        self.classified += report.classified
        self.rejected += report.rejected
        self.failed += report.failed
        self.error = self.error or report.error


def _scored(
    backlog: Backlog,
    job: Job,
    tally: _Tally,
    log: PredictionLog | None,
    *,
    address: str | None,
    workers: int | None,
) -> Iterator[None]:
    """Score what is left; an item for each film."""
    if not len(backlog):
        return
    with cluster(address, workers) as count:
        from cxr_edge.scoring.pipeline import score_all

        yield from _counted(score_all(backlog, job, workers=count), tally, log)


def _counted(reports: Iterable[Report], tally: _Tally, log: PredictionLog | None) -> Iterator[None]:
    for report in reports:
        tally.add(report)
        if log is not None:
            log.append(report.logged)
        yield from (None for _ in range(report.films))
