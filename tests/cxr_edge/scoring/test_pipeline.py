"""Workers and nodes that are lost: every film has one row in the end, but one that kills."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from cxr_edge.scoring import pipeline
from cxr_edge.scoring.backlog import Backlog
from cxr_edge.scoring.cluster import cluster
from cxr_edge.scoring.worker import Job, Worker
from cxr_edge_runtime.errors import CxrEdgeError

# The command ignores warnings; here they are Ray's about itself, and about its processes' pipes.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

# Noticing that a node is gone takes Ray half a minute otherwise.
_QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}


@pytest.fixture(scope="module")
def ray_cluster(collected: None) -> Iterator[Any]:
    """A cluster whose head does no work, with one node of two cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "_system_config": _QUICK},
        )
        made.add_node(num_cpus=2)
        yield made
        made.shutdown()


@pytest.fixture
def backlog(films: list[str]) -> Iterator[Backlog]:
    with Backlog.opened() as made:
        made.add(films)
        yield made


def rows_of(results: Path) -> Counter[str]:
    """How many rows each film has."""
    return Counter(ds.dataset(results, format="parquet").to_table()["file"].to_pylist())


def deadly(doomed: str, *, once: Path | None = None) -> type[Worker]:
    """A worker whose process ends when it comes to a film, or only the first time.

    Made in a function, the class itself travels to the nodes, which cannot import tests.
    """

    class Deadly(Worker):
        def _result(self, name: str, content: Any) -> Any:
            if name == doomed and not (once and once.exists()):
                if once:
                    once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._result(name, content)

    return Deadly


def waiting(started: Path, released: Path) -> type[Worker]:
    """A worker that notes where it is at work, and on its first batch waits to be released."""

    class Waiting(Worker):
        def score(self, batch: Any) -> Any:
            import ray

            node = ray.get_runtime_context().get_node_id()
            (started / f"{node}-{batch.first}").touch()
            while not released.exists():
                time.sleep(0.05)
            return super().score(batch)

    return Waiting


@pytest.mark.slow
def test_batch_of_a_killed_worker_is_scored_by_another_one(
    ray_cluster: Any,
    backlog: Backlog,
    films: list[str],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed, job = tmp_path / "killed", make_job(logged=True)
    monkeypatch.setattr(pipeline, "Worker", deadly(films[5], once=killed))
    monkeypatch.setattr(pipeline, "batch_size", lambda films, workers: 3)
    with cluster(ray_cluster.address, 2) as workers:
        reports = list(pipeline.score_all(backlog, job, workers=workers))
    assert killed.exists()
    assert rows_of(tmp_path / "results") == Counter(films)
    assert sorted(len(report.logged) for report in reports) == [3, 3, 3, 3]
    assert len(backlog) == 0


@pytest.mark.slow
def test_film_that_kills_every_worker_takes_no_other_film_with_it(
    ray_cluster: Any,
    backlog: Backlog,
    films: list[str],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = make_job()
    monkeypatch.setattr(pipeline, "Worker", deadly(films[5]))
    monkeypatch.setattr(pipeline, "batch_size", lambda films, workers: 6)
    with cluster(ray_cluster.address, 2) as workers:
        reports = list(pipeline.score_all(backlog, job, workers=workers))
    others = [name for name in films if name != films[5]]
    assert rows_of(tmp_path / "results") == Counter(others)
    assert sum(report.classified for report in reports) == len(others)
    [left] = backlog.batches(1)
    assert left.names == [films[5]]


def test_batch_that_was_written_is_not_scored_film_by_film(
    backlog: Backlog, films: list[str], make_job: Callable[..., Job]
) -> None:
    job = make_job()
    first, second = backlog.batches(6)
    Worker(job).score(first)
    [report] = pipeline._written(backlog, job, 6)
    assert (report.batch, report.classified) == (first, 6)
    assert list(backlog.batches(6)) == [second]


def test_worker_that_cannot_work_ends_the_job(
    ray_cluster: Any, backlog: Backlog, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    job = make_job(engine="onnxruntime")
    with (
        cluster(ray_cluster.address, 1) as workers,
        pytest.raises(CxrEdgeError, match="onnxruntime"),
    ):
        list(pipeline.score_all(backlog, job, workers=workers))
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.slow
def test_every_film_has_one_row_although_a_node_goes_in_the_middle(
    ray_cluster: Any,
    backlog: Backlog,
    films: list[str],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, released, job = tmp_path / "started", tmp_path / "released", make_job()
    started.mkdir()
    monkeypatch.setattr(pipeline, "Worker", waiting(started, released))
    monkeypatch.setattr(pipeline, "batch_size", lambda films, workers: 1)
    doomed = ray_cluster.add_node(num_cpus=2)
    ray_cluster.wait_for_nodes()

    def remove_when_at_work() -> None:
        end = time.monotonic() + 60
        while not any(path.name.startswith(doomed.node_id) for path in started.iterdir()):
            assert time.monotonic() < end
            time.sleep(0.05)
        ray_cluster.remove_node(doomed, allow_graceful=False)
        released.touch()

    remover = threading.Thread(target=remove_when_at_work)
    remover.start()
    with cluster(ray_cluster.address, 4) as workers:
        reports = list(pipeline.score_all(backlog, job, workers=workers))
    remover.join()
    assert released.exists()
    assert rows_of(tmp_path / "results") == Counter(films)
    assert sum(report.films for report in reports) == len(films)
    assert len({path.name.split("-")[0] for path in started.iterdir()}) == 2
