"""What a worker does: an engine of its own, a batch of films at a time, a file of results each."""

import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec.config
import pyarrow as pa

from cxr_edge.monitoring.prediction_log import LoggedFilm
from cxr_edge.process.memory import fix_mmap_threshold
from cxr_edge.scoring.backlog import Batch
from cxr_edge.scoring.films import contents
from cxr_edge.scoring.results import ResultsFolder
from cxr_edge.writers.csv_file import ResultRow
from cxr_edge_runtime.batch import Result, classify_image
from cxr_edge_runtime.bundle import CHECKSUM, MANIFEST, Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import (
    CxrEdgeError,
    ImageError,
    ImageNotFound,
    ImageNotReadable,
)
from cxr_edge_runtime.files import full_disk_named
from cxr_edge_runtime.gate import REJECTED

# So many films that cannot be fetched one after the other are no accident of theirs: credentials
# have expired, or this node does not have the folder.
_MANY = 50


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker has to know.

    Attributes:
        bundle: the files of the bundle by name: a node has none of its own.
        digest: the bundle's.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.
        prevalence: see :class:`cxr_edge_runtime.classifier.Classifier`.
        output: path or URL of the results.
        mark: see :meth:`ResultsFolder.in_use`.
        logged: rows for the log of predictions are wanted.
        storage: the user's configuration of fsspec, which may hold credentials.
    """

    bundle: Mapping[str, bytes] = field(repr=False)
    digest: str
    engine: str | None
    prevalence: float | None
    output: str
    mark: str | None
    logged: bool
    storage: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls,
        bundle: Bundle,
        *,
        engine: str | None,
        output: str,
        mark: str | None,
        logged: bool,
        prevalence: float | None = None,
    ) -> "Job":
        """A job with this bundle and this process's configuration of fsspec."""
        names = (*bundle.manifest.files, CHECKSUM, MANIFEST)
        files = {name: (bundle.path / name).read_bytes() for name in names}
        storage = dict(fsspec.config.conf)
        return cls(files, bundle.digest, engine, prevalence, output, mark, logged, storage)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a batch.

    Attributes:
        batch: the films.
        classified: how many have a probability.
        rejected: how many the input gate rejected.
        failed: how many have an error in place of a result.
        error: one of those errors.
        logged: rows for the log of predictions, where they are wanted.
        stop: what keeps this worker from working, as text for the user; no row was written.
    """

    batch: Batch
    classified: int = 0
    rejected: int = 0
    failed: int = 0
    error: str | None = None
    logged: tuple[LoggedFilm, ...] = ()
    stop: str | None = None

    @property
    def films(self) -> int:
        """How many got a row."""
        return self.classified + self.rejected + self.failed

    @classmethod
    def of_rows(
        cls, batch: Batch, rows: Sequence[ResultRow], logged: tuple[LoggedFilm, ...] = ()
    ) -> "Report":
        """Count rows by what they hold."""
        errors = [row.error for row in rows if row.error is not None]
        rejected = sum(row.gate == REJECTED for row in rows)
        classified = len(rows) - len(errors) - rejected
        return cls(batch, classified, rejected, len(errors), next(iter(errors), None), logged)


class Worker:
    """Scores batches; a failure becomes a report, since Ray would print a traceback."""

    def __init__(self, job: Job) -> None:
        """Unpack the bundle, verify it and open its engine."""
        # For all threads, as in `classify`: pydicom's warnings quote what is written in a film.
        warnings.simplefilter("ignore")
        fix_mmap_threshold()
        fsspec.config.conf.update(job.storage)
        self._job = job
        self._stop: str | None = None
        try:
            self._classifier = _classifier(job)
            self._results = ResultsFolder(job.output)
            self._results.check_shared(job.mark)
        except (CxrEdgeError, OSError) as error:  # no room for the bundle, above all
            self._stop = str(error)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Score the batch that a table of one row holds; see :func:`packed`."""
        return packed(self.score(unpacked(table)))

    def score(self, batch: Batch) -> Report:
        """Score a batch and write its rows."""
        if self._stop is not None:
            return Report(batch, stop=self._stop)
        bundle = self._classifier.bundle
        names, rows, logged = batch.names, [], []
        fetched = 0
        try:
            for name, content in contents(names):
                fetched += not isinstance(content, ImageNotFound | ImageNotReadable)
                result = self._result(name, content)
                rows.append(ResultRow.of(name, result, bundle))
                if self._job.logged and not isinstance(result, CxrEdgeError):
                    logged.append(LoggedFilm.of(result, bundle))
            _require_one(fetched=fetched, names=names, error=rows[-1].error)
            self._results.check_not_taken_over(self._job.mark)
            self._results.write(names, bundle.digest, rows)
        except CxrEdgeError as error:
            return Report(batch, stop=str(error))
        return Report.of_rows(batch, rows, tuple(logged))

    def _result(self, name: str, content: bytes | ImageError) -> Result:
        if isinstance(content, ImageError):
            return content
        return classify_image(self._classifier, content, name=name)


def _require_one(*, fetched: int, names: Sequence[str], error: object) -> None:
    """Refuse a batch of which nothing could be fetched: its rows would count as done for good."""
    if not fetched and len(names) >= _MANY:
        raise CxrEdgeError(
            f"none of {len(names)} films in a row could be fetched ({error}), and no rows were "
            "written for them; repair the storage or remove them from the list, and start again"
        )


def packed(value: Batch | Report) -> pa.Table:
    """A table of one row that holds a value; Ray Data's data are tables."""
    return pa.table({"value": pa.array([pickle.dumps(value)], pa.binary())})


def unpacked(table: pa.Table) -> Any:
    """The value of a table of one row."""
    return pickle.loads(table["value"][0].as_py())


def _classifier(job: Job) -> Classifier:
    with TemporaryDirectory(prefix="cxr-edge-") as folder, full_disk_named(Path(folder)):
        for name, content in job.bundle.items():
            Path(folder, name).write_bytes(content)
        return Classifier(Bundle.load(Path(folder)), engine=job.engine, prevalence=job.prevalence)
