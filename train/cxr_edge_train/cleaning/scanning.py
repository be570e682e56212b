"""Decode every file of a data set, and give it a record or a reason to leave it out."""

import itertools
import os
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cxr_edge_runtime.images import is_image_file
from cxr_edge_train.cleaning.dicom_header import COLUMNS as DICOM_COLUMNS
from cxr_edge_train.cleaning.pseudonyms import Pseudonyms
from cxr_edge_train.cleaning.reading import FileFacts
from cxr_edge_train.cleaning.scan_index import ScanIndex, Stamp
from cxr_edge_train.cleaning.workers import read_batches
from cxr_edge_train.dataset.layout import DataSet, FoundFile
from cxr_edge_train.dataset.metadata import ImageRecord, LeftOut
from cxr_edge_train.dataset.patients import identify

# Files handed to a process at once, and remembered in one transaction: small enough for a lively
# progress bar and little lost work, large enough that handing over costs nothing.
_BATCH = 64


_NONE: Mapping[str, str] = MappingProxyType({})


class ScannedFile(NamedTuple):
    """A file after scanning: a record and its thumbnail, or the reason to leave it out.

    Attributes:
        split: see :class:`cxr_edge_train.dataset.layout.FoundFile`.
        label: see :class:`cxr_edge_train.dataset.layout.FoundFile`.
        outcome: the record, or the reason.
        thumbnail: see :class:`cxr_edge_train.cleaning.reading.FileFacts`.
        columns: what the metadata has beside the record, by the name of the column.
    """

    split: str
    label: str
    outcome: ImageRecord | LeftOut
    thumbnail: bytes = b""
    columns: Mapping[str, str] = _NONE


def scan(
    dataset: DataSet,
    *,
    relative_to: Path,
    pattern: re.Pattern[str] | None = None,
    pseudonyms: Pseudonyms | None = None,
    index: ScanIndex | None = None,
    workers: int | None = None,
) -> Iterator[ScannedFile]:
    """Read, hash and decode each file, in several processes; memory does not grow with the files.

    Args:
        dataset: the data set, its folder resolved.
        relative_to: the folder that will hold the metadata file, resolved.
        pattern: see :func:`cxr_edge_train.dataset.patients.identify`.
        pseudonyms: name the patients of DICOM files; by default numbers.
        index: facts of earlier runs, looked up and added to.
        workers: number of processes, by default one per processor; it changes no result.

    Yields:
        Each file of :meth:`cxr_edge_train.dataset.layout.DataSet.files`, in its order.

    Raises:
        DatasetError: a label folder is empty, a folder cannot be read, or a reading process was
            killed.
    """
    prefix = f"{Path(os.path.relpath(dataset.folder, relative_to)).as_posix()}/".removeprefix("./")
    folder = f"{dataset.folder}{os.sep}"
    pseudonyms = pseudonyms or Pseudonyms()
    waiting: deque[list[_Pending]] = deque()

    def unread() -> Iterator[list[str]]:
        files = dataset.files()
        while batch := list(itertools.islice(files, _BATCH)):
            pending = [_look_at(file, prefix + file.path, folder + file.path) for file in batch]
            if index is not None:
                known = index.look_up([item.stamp for item in pending if item.stamp is not None])
                for item in pending:
                    item.facts = known.get(item.stamp) if item.stamp is not None else None
            waiting.append(pending)
            yield [folder + item.file.path for item in pending if item.to_read]

    for facts in read_batches(unread(), workers=workers):
        pending = waiting.popleft()
        read = list(zip((item for item in pending if item.to_read), facts))
        for item, found in read:
            item.facts = found
        if index is not None and read:
            index.store([(item.stamp, found) for item, found in read if item.stamp is not None])
        for item in pending:
            yield _scanned(item, dataset, pattern, pseudonyms)


@dataclass(slots=True)
class _Pending:
    """A file that was found and whose facts may not be known yet."""

    file: FoundFile
    relative: str
    refused: str = ""
    stamp: Stamp | None = None
    facts: FileFacts | None = None

    @property
    def to_read(self) -> bool:
        return not self.refused and self.facts is None


def _look_at(file: FoundFile, relative: str, path: str) -> _Pending:
    shown = relative.encode("utf-8", "backslashreplace").decode()
    if shown != relative:
        return _Pending(file, shown, "unreadable: the name is not UTF-8; rename the file")
    if file.refused:
        return _Pending(file, shown, file.refused)
    if not is_image_file(Path(path)):
        return _Pending(file, shown, "not an image")
    try:
        status = os.stat(path)  # noqa: PTH116  # text, as in layout.py
    except OSError:  # reading it will say why
        return _Pending(file, shown)
    stamp = Stamp(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _Pending(file, shown, stamp=stamp)


def _scanned(
    pending: _Pending, dataset: DataSet, pattern: re.Pattern[str] | None, pseudonyms: Pseudonyms
) -> ScannedFile:
    path, split, label, *_ = pending.file
    facts = pending.facts
    if facts is None or facts.error:
        reason = pending.refused
        if facts is not None:
            reason = facts.error if facts.header else f"unreadable: {facts.error}"
        return ScannedFile(split, label, LeftOut(pending.relative, reason))
    # From the name, never from the index: another pattern takes effect at once.
    is_positive = label == dataset.names.positive
    identity = identify(path.rsplit("/", 1)[-1], positive=is_positive, pattern=pattern)
    patient, columns = identity.patient, dict(pending.file.columns)
    if facts.header is not None:
        _, *of_header = facts.header
        columns |= {
            name: columns.get(name) or value for name, value in zip(DICOM_COLUMNS, of_header)
        }
        # Of two names for one patient, one would fall on the other side of a split.
        if not (identity.by_pattern or dataset.names_patients):
            patient = pseudonyms.of(facts.header.patient_id) or patient
    record = ImageRecord(
        path=pending.relative,
        split=split,
        label=label,
        kind=identity.kind,
        patient=pending.file.patient or patient,
        md5=facts.md5,
        width=facts.width,
        height=facts.height,
        mode=facts.mode,
        bytes=facts.size,
        jpeg_step=facts.jpeg_step,
    )
    return ScannedFile(split, label, record, facts.thumbnail, columns | dataset.names.column)
