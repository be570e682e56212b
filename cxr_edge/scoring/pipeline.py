"""The workers on Ray Data: batches of names go in, a report of each comes out."""

from collections.abc import Iterator
from itertools import islice

import ray.data

from cxr_edge.scoring.backlog import Backlog, batch_size
from cxr_edge.scoring.listing import one_line
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.scoring.worker import Job, Report, Worker, packed, unpacked
from cxr_edge_runtime.errors import CxrEdgeError

# How often Ray sends a batch again that lost its worker, each time it is sent.
_RETRIES = 1
# Films that are sent one by one in a run, at most: where everything fails, all would.
_MOST_ALONE = 20_000
# How often in a row a worker may die while it starts, before that is the end.
_DEATHS_AT_START = 3


def score_all(backlog: Backlog, job: Job, *, workers: int) -> Iterator[Report]:
    """Score what is left, until a film has a row or has ended its worker time and again.

    Ray sends a batch that lost its worker again, but a node that goes away can use up all its
    tries within a second. So what Ray gave up goes a second time, as the same batch, which would
    replace its own file; then film by film, for a film that ends every worker takes none with it.

    Args:
        backlog: films; those that get a row are removed from it.
        job: for the workers.
        workers: how many.

    Yields:
        A report for each batch.

    Raises:
        CxrEdgeError: a worker cannot do its work, or Ray cannot go on.
    """
    size = batch_size(len(backlog), workers)
    for films, ahead in ((size, 2), (size, 2), (1, 1)):
        if films < size:
            yield from _written(backlog, job, size)
        if not len(backlog):
            return
        for report in _reports(backlog, job, films, workers=workers, ahead=ahead):
            if report.stop is not None:
                raise CxrEdgeError(report.stop)
            backlog.remove(report.batch)
            yield report


def _written(backlog: Backlog, job: Job, size: int) -> Iterator[Report]:
    """Batches that have a file, but whose report was lost with a node."""
    results = ResultsFolder(job.output)
    for batch in list(backlog.batches(size)):
        rows = results.read(batch.names, job.digest)
        if rows is not None:
            backlog.remove(batch)
            yield Report.of_rows(batch, rows)


def _reports(
    backlog: Backlog, job: Job, films: int, *, workers: int, ahead: int
) -> Iterator[Report]:
    """Run all batches once; those that Ray gave up have no report."""
    most = None if films > 1 else _MOST_ALONE
    batches = [packed(batch) for batch in islice(backlog.batches(films), most)]
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
        raise CxrEdgeError(f"Ray failed ({one_line(error)})") from error
