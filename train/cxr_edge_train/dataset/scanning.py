"""Walk ``train|val|test / NORMAL|PNEUMONIA`` and really decode every file."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from cxr_edge_runtime.errors import DatasetError, ImageError
from cxr_edge_runtime.images import SUFFIXES, decode_grey, read_bytes
from cxr_edge_train.dataset.patients import identify

FOLDERS = ("train", "val", "test")
LABELS = ("NORMAL", "PNEUMONIA")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One row of ``clean_metadata.csv``.

    Attributes:
        path: POSIX path relative to the folder of the metadata file.
        split: the data set's own folder: ``train``, ``val`` or ``test``.
        label: ``NORMAL`` or ``PNEUMONIA``.
        kind: ``normal``, ``bacteria``, ``virus`` or ``unknown``.
        patient: patient id, empty when unknown.
        md5: MD5 of the file, hexadecimal; it finds duplicates and is no protection.
        width: stored width, pixels.
        height: stored height, pixels.
        mode: Pillow's mode of the stored image.
        bytes: size of the file.
    """

    path: str
    split: str
    label: str
    kind: str
    patient: str
    md5: str
    width: int
    height: int
    mode: str
    bytes: int


METADATA_COLUMNS = tuple(field.name for field in fields(ImageRecord))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that does not enter the metadata, and why."""

    path: str
    reason: str


def find_files(data_dir: Path) -> list[tuple[Path, str, str]]:
    """All files of a data set as ``(path, split, label)``, in a stable order.

    The label is empty for a file that lies below neither ``NORMAL`` nor ``PNEUMONIA``.

    Hidden files (``.DS_Store``) and the ``__MACOSX`` folder of the Kaggle archive are not listed.

    Raises:
        DatasetError: no ``train/NORMAL`` and ``train/PNEUMONIA`` below the folder, or a label
            folder that cannot be read.
    """
    if not data_dir.is_dir():
        raise DatasetError(f"{data_dir}: no such folder")
    for label in LABELS:
        if not (data_dir / "train" / label).is_dir():
            raise DatasetError(
                f"{data_dir}: has no folder train/{label}; expected "
                "train|val|test / NORMAL|PNEUMONIA (val and test may be absent)"
            )
    files: list[tuple[Path, str, str]] = []
    for split in FOLDERS:
        folder = data_dir / split
        for path in _walk(folder) if folder.is_dir() else []:
            label = path.relative_to(folder).parts[0]
            files.append((path, split, label if label in LABELS else ""))
    return files


def _walk(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        # os.walk would pass over the folder in silence, and its films would be missing.
        raise DatasetError(f"{error.filename}: cannot be read ({error.strerror})") from error

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(Path(parent, name) for name in names if not name.startswith("."))
    return sorted(found)


def scan(
    files: list[tuple[Path, str, str]], *, relative_to: Path, pattern: re.Pattern[str] | None = None
) -> Iterator[ImageRecord | LeftOut]:
    """Read, hash and decode each file; pixels are dropped at once.

    Args:
        files: what :func:`find_files` returned.
        relative_to: the folder that will hold the metadata file.
        pattern: see :func:`cxr_edge_train.dataset.patients.identify`.

    Yields:
        A record for each usable image, in order; a :class:`LeftOut` for each other file.
    """
    for path, split, label in files:
        relative = Path(os.path.relpath(path, relative_to)).as_posix()
        shown = relative.encode("utf-8", "backslashreplace").decode()
        if shown != relative:
            yield LeftOut(shown, "unreadable: the name is not UTF-8; rename the file")
            continue
        if not label:
            yield LeftOut(relative, f"not below {' or '.join(LABELS)}")
            continue
        if path.suffix.lower() not in SUFFIXES:
            yield LeftOut(relative, "not an image")
            continue
        try:
            content = read_bytes(path)
            image = decode_grey(content, name=path.name)
        except ImageError as error:
            yield LeftOut(relative, f"unreadable: {error}")
            continue
        identity = identify(path.name, label, pattern)
        height, width = image.pixels.shape
        yield ImageRecord(
            path=relative,
            split=split,
            label=label,
            kind=identity.kind,
            patient=identity.patient,
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            width=width,
            height=height,
            mode=image.mode,
            bytes=len(content),
        )
