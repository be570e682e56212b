"""Decode every file of a data set, and give it a record or a reason to leave it out."""

import itertools
import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cxr_edge_runtime.images import SUFFIXES
from cxr_edge_train.cleaning.reading import FileFacts
from cxr_edge_train.cleaning.scan_index import ScanIndex, Stamp
from cxr_edge_train.cleaning.workers import read_batches
from cxr_edge_train.dataset.layout import LABELS, FoundFile, find_files
from cxr_edge_train.dataset.metadata import ImageRecord, LeftOut
from cxr_edge_train.dataset.patients import identify

# Files handed to a process at once, and remembered in one transaction: small enough for a lively
# progress bar and little lost work, large enough that handing over costs nothing.
_BATCH = 64


class ScannedFile(NamedTuple):
    """A file after scanning: a record and its thumbnail, or the reason to leave it out.

    Attributes:
        split: see :class:`cxr_edge_train.dataset.layout.FoundFile`.
        label: see :class:`cxr_edge_train.dataset.layout.FoundFile`.
        outcome: the record, or the reason.
        thumbnail: see :class:`cxr_edge_train.cleaning.reading.FileFacts`.
    """

    split: str
    label: str
    outcome: ImageRecord | LeftOut
    thumbnail: bytes = b""


def scan(
    data_dir: Path,
    *,
    relative_to: Path,
    pattern: re.Pattern[str] | None = None,
    index: ScanIndex | None = None,
    workers: int | None = None,
) -> Iterator[ScannedFile]:
    """Read, hash and decode each file, in several processes; memory does not grow with the files.

    Args:
        data_dir: folder of the data set, resolved.
        relative_to: the folder that will hold the metadata file, resolved.
        pattern: see :func:`cxr_edge_train.dataset.patients.identify`.
        index: facts of earlier runs, looked up and added to.
        workers: number of processes, by default one per processor; it changes no result.

    Yields:
        Each file of :func:`cxr_edge_train.dataset.layout.find_files`, in its order.

    Raises:
        DatasetError: the folder does not have the expected structure, or a reading process was
            killed.
    """
    prefix = f"{Path(os.path.relpath(data_dir, relative_to)).as_posix()}/".removeprefix("./")
    folder = f"{data_dir}{os.sep}"
    waiting: deque[list[_Pending]] = deque()

    def unread() -> Iterator[list[str]]:
        files = find_files(data_dir)
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
            yield _scanned(item, pattern)


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
    if not file.label:
        return _Pending(file, shown, f"not below {' or '.join(LABELS)}")
    if f".{path.rpartition('.')[2].lower()}" not in SUFFIXES:
        return _Pending(file, shown, "not an image")
    try:
        status = os.stat(path)  # noqa: PTH116  # text, as in layout.py
    except OSError:  # reading it will say why
        return _Pending(file, shown)
    stamp = Stamp(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _Pending(file, shown, stamp=stamp)


def _scanned(pending: _Pending, pattern: re.Pattern[str] | None) -> ScannedFile:
    path, split, label = pending.file
    facts = pending.facts
    if facts is None or facts.error:
        reason = pending.refused if facts is None else f"unreadable: {facts.error}"
        return ScannedFile(split, label, LeftOut(pending.relative, reason))
    # From the name, never from the index: another pattern takes effect at once.
    identity = identify(path.rsplit("/", 1)[-1], label, pattern)
    record = ImageRecord(
        path=pending.relative,
        split=split,
        label=label,
        kind=identity.kind,
        patient=identity.patient,
        md5=facts.md5,
        width=facts.width,
        height=facts.height,
        mode=facts.mode,
        bytes=facts.size,
        jpeg_step=facts.jpeg_step,
    )
    return ScannedFile(split, label, record, facts.thumbnail)
