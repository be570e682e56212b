"""The folders of a data set, ``train|val|test / NORMAL|PNEUMONIA``, and the files in them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cxr_edge_runtime.errors import DatasetError

FOLDERS = ("train", "val", "test")
LABELS = ("NORMAL", "PNEUMONIA")


class FoundFile(NamedTuple):
    """A file below a split.

    Attributes:
        path: POSIX path relative to the data set.
        split: the data set's own folder.
        label: ``NORMAL`` or ``PNEUMONIA``; empty outside both folders.
    """

    path: str
    split: str
    label: str


def find_files(data_dir: Path) -> Iterator[FoundFile]:
    """Find all files of a data set, with one folder in memory at a time.

    Hidden files (``.DS_Store``) and the ``__MACOSX`` folder of the Kaggle archive are not listed.

    Args:
        data_dir: the folder of the data set.

    Yields:
        The files split by split, and by path within a split.

    Raises:
        DatasetError: there is no ``train/NORMAL`` or ``train/PNEUMONIA`` in the folder, or a label
            folder is empty or cannot be read.
    """
    if not data_dir.is_dir():
        why = "is a file, not a folder" if data_dir.exists() else "no such folder"
        raise DatasetError(
            f"{data_dir}: {why}; name the folder that holds train/NORMAL and train/PNEUMONIA"
        )
    for label in LABELS:
        if not (data_dir / "train" / label).is_dir():
            raise DatasetError(
                f"{data_dir}: has no folder train/{label}; expected "
                "train|val|test / NORMAL|PNEUMONIA (val and test may be absent)"
            )
    for split in FOLDERS:
        folder = data_dir / split
        if not folder.is_dir():
            continue
        for label in LABELS:
            inside = folder / label
            if inside.is_dir() and next(_walk(inside, ""), None) is None:
                raise DatasetError(
                    f"{inside}: the folder holds no files; put images there, or remove it"
                )
        for path in _walk(folder, f"{split}/"):
            label = path.split("/", 2)[1]
            yield FoundFile(path, split, label if label in LABELS else "")


def _walk(folder: Path, prefix: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Walk a folder in the order of its sorted paths; links are followed.

    Names are joined as text: with thousands of files per second, joining paths would be slow.
    """
    here = os.path.realpath(folder)
    if here in above:  # a link to a folder that it lies in
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                (entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")
            )
    except OSError as error:
        # Skipping the folder silently would leave its films out.
        raise DatasetError(f"{folder}: cannot be read ({error.strerror})") from error
    for name, is_folder in names:
        if is_folder:
            yield from _walk(folder / name, f"{prefix}{name}/", above | {here})
        else:
            yield prefix + name
