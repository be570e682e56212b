"""The output: a folder of Parquet files, one per batch; each row is a row of classify's CSV file.

A file's name is made from the films in it and the bundle, so a batch that is scored twice, because
a worker or a node was lost, replaces its own file: no film can have two rows.
"""

import fcntl
import hashlib
import io
import os
import posixpath
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from cxr_edge.scoring.listing import absolute, one_line
from cxr_edge.writers.csv_file import CSV_COLUMNS, ResultRow
from cxr_edge_runtime.errors import CxrEdgeError, InvalidRequest
from cxr_edge_runtime.files import remove_temporaries, write_bytes
from cxr_edge_runtime.files.outputs import check_folder

_SUFFIX = ".parquet"
# Begins the name of the file that shows which run may write.
_MARK = ".score-"
_TYPES: dict[Any, pa.DataType] = {float | None: pa.float64(), bool | None: pa.bool_()}
_SCHEMA = pa.schema(
    [(column.name, _TYPES.get(column.type, pa.string())) for column in fields(ResultRow)]
)
_FILES_AT_ONCE = 64


class ResultsFolder:
    """A folder of result files, at a path or an fsspec URL."""

    def __init__(self, location: str) -> None:
        """Name the folder; nothing is read or written yet.

        Raises:
            CxrEdgeError: no installed package opens this kind of URL.
        """
        self.location = absolute(location)
        with self._errors():
            self._files, self._root = url_to_fs(self.location)
        self._is_local = isinstance(self._files, LocalFileSystem)

    def check_output(self) -> None:
        """Check a local folder before any work; what it holds is seen by :meth:`written`.

        Raises:
            InvalidRequest: it is a file or a link, or cannot be made or written.
        """
        if self._is_local:
            check_folder(Path(self._root), "a folder of results", ours=lambda _: True)

    @contextmanager
    def in_use(self) -> Iterator[str]:
        """Make the folder and take it over.

        Yields:
            Name of a file that is there as long as this run may write, for workers to look for.

        Raises:
            CxrEdgeError: another run of this machine is writing to it, or it cannot be made.
        """
        lock = None
        try:
            with self._errors():
                self._files.makedirs(self._root, exist_ok=True)
                if self._is_local:
                    lock = os.open(self._root, os.O_RDONLY)
                    self._lock(lock)
                    remove_temporaries(Path(self._root))
                # Workers of a run that was killed live on for seconds; without their mark they
                # write nothing more.
                for path in self._listed():
                    if posixpath.basename(path).startswith(_MARK):
                        self._files.rm_file(path)
                mark = _MARK + secrets.token_hex(4)
                path = posixpath.join(self._root, mark)
                self._files.pipe_file(path, b"")
            try:
                yield mark
            finally:
                with suppress(Exception):  # a later run has taken the folder over
                    self._files.rm_file(path)
        finally:
            if lock is not None:
                os.close(lock)

    def check_shared(self, mark: str | None) -> None:
        """Make sure, in a worker, that this is the folder that :meth:`in_use` was called for.

        Raises:
            CxrEdgeError: it is not.
        """
        if not self._has(mark):
            raise CxrEdgeError(
                f"{self.location}: is not the same folder in every process; name one that all share"
            )

    def check_not_taken_over(self, mark: str | None) -> None:
        """Make sure, before a worker writes, that no later run has begun to write here.

        Raises:
            CxrEdgeError: one has.
        """
        if not self._has(mark):
            raise CxrEdgeError(f"{self.location}: a later run of score has taken over this folder")

    def _has(self, mark: str | None) -> bool:
        if mark is None:
            return True
        with self._errors():
            self._files.invalidate_cache()
            found: bool = self._files.exists(posixpath.join(self._root, mark))
        return found

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CxrEdgeError(
                f"{self.location}: another run of score is writing here; try again "
                "when it has finished"
            ) from None

    def written(self, bundle_digest: str, *, prevalence: float | None) -> Iterator[str]:
        """Yield the names of the films that have a row.

        Args:
            bundle_digest: of the bundle that is to score.
            prevalence: the one that its probabilities are to stand for.

        Raises:
            InvalidRequest: there are other files, or results of another bundle or prevalence.
            CxrEdgeError: the folder, or a file in it, cannot be read.
        """
        paths = self._paths()
        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            for begin in range(0, len(paths), _FILES_AT_ONCE):
                some = paths[begin : begin + _FILES_AT_ONCE]
                with self._errors():
                    contents = list(pool.map(self._files.cat_file, some))
                for path, content in zip(some, contents):
                    name = posixpath.basename(path)
                    with self._errors(name):
                        rows = pq.read_table(pa.BufferReader(content))
                    self._check(rows, name, bundle_digest, prevalence)
                    yield from rows["file"].to_pylist()

    def write(self, names: Sequence[str], bundle_digest: str, rows: Sequence[ResultRow]) -> None:
        """Write a batch's rows, whole or not at all.

        Args:
            names: of all films of the batch.
            bundle_digest: of the bundle that scored them.
            rows: one per film.

        Raises:
            CxrEdgeError: they cannot be written.
        """
        table = pa.Table.from_pylist([asdict(row) for row in rows], schema=_SCHEMA)
        content = io.BytesIO()
        pq.write_table(table, content, compression="zstd")
        path = self._path(names, bundle_digest)
        with self._errors():
            if self._is_local:
                write_bytes(Path(path), content.getvalue())
            else:
                self._files.pipe_file(path, content.getvalue())

    def read(self, names: Sequence[str], bundle_digest: str) -> list[ResultRow] | None:
        """The rows of a batch; None where it was not written.

        Raises:
            CxrEdgeError: they cannot be read.
        """
        path = self._path(names, bundle_digest)
        with self._errors():
            self._files.invalidate_cache()
            if not self._files.exists(path):
                return None
            with self._files.open(path, "rb") as file:
                return [ResultRow(**row) for row in pq.read_table(file).to_pylist()]

    def _path(self, names: Sequence[str], bundle_digest: str) -> str:
        content = b"\0".join(map(os.fsencode, (bundle_digest, *names)))
        return posixpath.join(self._root, hashlib.sha256(content).hexdigest()[:32] + _SUFFIX)

    def _listed(self) -> list[str]:
        """What lies in the folder, hidden or not."""
        self._files.invalidate_cache()
        # A prefix of an object store is there only with its first file.
        if not self._files.exists(self._root):
            return []
        found: list[str] = self._files.ls(self._root, detail=False)
        return found

    def _paths(self) -> list[str]:
        """The files of results, of which there may be none."""
        with self._errors():
            found = self._listed()
        paths = sorted(path.rstrip("/") for path in found)
        named = {path: posixpath.basename(path) for path in paths if path != self._root}
        visible = {path: name for path, name in named.items() if not name.startswith(".")}
        other = next((name for name in visible.values() if not name.endswith(_SUFFIX)), None)
        if other is not None:
            raise InvalidRequest(
                f"{self.location}: contains something other than results of score, such as "
                f"{other}; choose another folder"
            )
        return list(visible)

    def _check(
        self, rows: pa.Table, name: str, bundle_digest: str, prevalence: float | None
    ) -> None:
        if tuple(rows.column_names) != CSV_COLUMNS:
            raise InvalidRequest(
                f"{self.location}: {name} contains something other than results of score; "
                "choose another folder"
            )
        for bundle in rows["bundle"].unique().to_pylist():
            if bundle != bundle_digest:
                raise InvalidRequest(
                    f"{self.location}: contains results of another bundle ({str(bundle)[:12]}); "
                    "choose another folder"
                )
        for other in rows["prevalence"].drop_null().unique().to_pylist():
            if other != prevalence:
                raise InvalidRequest(
                    f"{self.location}: contains results at another prevalence ({other:g}); choose "
                    "another folder"
                )

    @contextmanager
    def _errors(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except CxrEdgeError:
            raise
        except Exception as error:
            # Each kind of storage raises errors of its own; Parquet's are of damaged files.
            where = f"{self.location}: {name}" if name else self.location
            said = isinstance(error, OSError) and error.strerror
            raise CxrEdgeError(f"{where}: {said or one_line(error)}") from error
