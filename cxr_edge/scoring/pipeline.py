"""The workers on Ray Data: batches of names go in, a report of each comes out."""

from collections.abc import Iterator

import ray.data

from cxr_edge.scoring.backlog import Backlog, batch_size
from cxr_edge.scoring.listing import one_line
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.scoring.worker import Job, Report, Worker, packed, unpacked
from cxr_edge_runtime.errors import CxrEdgeError

# How often Ray sends a batch to a worker again whose process or node was lost.
_RETRIES = 1
# How often in a row a worker may die while it starts, before that is the end.
_DEATHS_AT_START = 3


def score_all(
    backlog: Backlog, results: ResultsFolder, job: Job, bundle_digest: str, *, workers: int
) -> Iterator[Report]:
    """Score what is left, until a film has a row or has ended its worker time and again.

    Ray gives a batch up that has lost its worker :data:`_RETRIES` times; a node that goes away can
    do that within a second. So what was given up goes a second time, as the same batch, which
    replaces its file; then film by film, for a film that ends every worker takes none with it.

    Args:
        backlog: films; those that get a row are removed from it.
        results: where workers write to, for this process to look.
        job: for the workers.
        bundle_digest: of its bundle.
        workers: how many.

    Yields:
        A report for each batch.

    Raises:
        CxrEdgeError: a worker cannot do its work, or Ray cannot go on.
    """
    size = batch_size(len(backlog), workers)
    for films, ahead in ((size, 2), (size, 2), (1, 1)):
        if films < size:
            yield from _found(backlog, results, bundle_digest, size)
        if not len(backlog):
            return
        for report in _reports(backlog, job, films, workers=workers, ahead=ahead):
            if report.stop is not None:
                raise CxrEdgeError(report.stop)
            backlog.remove(report.batch)
            yield report


def _found(
    backlog: Backlog, results: ResultsFolder, bundle_digest: str, size: int
) -> Iterator[Report]:
    """Batches that were written, but whose report was lost with a node."""
    for batch in list(backlog.batches(size)):
        rows = results.read(batch.names, bundle_digest)
        if rows is not None:
            backlog.remove(batch)
            yield Report.of_rows(batch, rows)


def _reports(
    backlog: Backlog, job: Job, films: int, *, workers: int, ahead: int
) -> Iterator[Report]:
    """Run all batches once; those that Ray gave up have no report."""
    batches = [packed(batch) for batch in backlog.batches(films)]
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.max_consecutive_actor_init_deaths = _DEATHS_AT_START
    reports = ray.data.from_arrow(batches).map_batches(
        Worker,
        fn_constructor_args=(job,),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        # A batch that waits for a worker is lost with it: film by film, none waits.
        compute=ray.data.ActorPoolStrategy(
            size=min(workers, len(batches)), max_tasks_in_flight_per_actor=ahead
        ),
        ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": _RETRIES},
    )
    try:
        for table in reports.iter_batches(
            batch_size=None, batch_format="pyarrow", prefetch_batches=0
        ):
            for row in range(table.num_rows):
                yield unpacked(table.slice(row, 1))
    except Exception as error:
        raise CxrEdgeError(f"Ray cannot go on ({one_line(error)})") from error
