"""``clean_metadata.csv`` and ``splits.csv``: written by one stage, read by the next."""

import csv
import hashlib
import io
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.files import write_text
from cxr_edge_train.dataset.duplicates import remove_duplicates
from cxr_edge_train.dataset.patients import KINDS
from cxr_edge_train.dataset.scanning import (
    FOLDERS,
    LABELS,
    METADATA_COLUMNS,
    ImageRecord,
    LeftOut,
    find_files,
    scan,
)

SPLITS = ("train", "validation", "test")
SPLIT_COLUMNS = ("path", "md5", "split")
LEFT_OUT_COLUMNS = tuple(field.name for field in fields(LeftOut))


@dataclass(frozen=True, slots=True)
class CleanResult:
    """What cleaning kept and left out."""

    kept: list[ImageRecord]
    left_out: list[LeftOut]


def left_out_path(metadata: Path) -> Path:
    """Where the list of left-out files lies, for example ``clean_metadata.left_out.csv``."""
    return metadata.with_suffix(".left_out.csv")


def clean(
    data_dir: Path,
    output: Path,
    *,
    pattern: re.Pattern[str] | None = None,
    progress: Callable[
        [Iterable[ImageRecord | LeftOut], int], Iterable[ImageRecord | LeftOut]
    ] = lambda items, total: items,
) -> CleanResult:
    """Scan a data set, drop what cannot be used and write both CSV files; images are never touched.

    Args:
        data_dir: folder with ``train|val|test / NORMAL|PNEUMONIA``.
        output: the metadata file to write; paths inside are relative to its folder.
        pattern: finds the patient in a file name, for data sets other than Kermany's.
        progress: wraps the iteration, given the items and their number.

    Raises:
        DatasetError: the folder has not the expected structure, or no image is left of a label.
        InvalidRequest: the output is a folder.
    """
    if output.is_dir():
        raise InvalidRequest(f"{output}: is a folder; name the file to write")
    files = find_files(data_dir.resolve())
    root = output.resolve().parent
    scanned = list(progress(scan(files, relative_to=root, pattern=pattern), len(files)))
    kept, duplicates = remove_duplicates(r for r in scanned if isinstance(r, ImageRecord))
    unusable = [item for item in scanned if isinstance(item, LeftOut)]
    left_out = sorted([*unusable, *duplicates], key=lambda item: item.path)
    _write_csv(left_out_path(output), LEFT_OUT_COLUMNS, map(astuple, left_out))
    for label in LABELS:
        if not any(record.label == label and record.split != "test" for record in kept):
            raise DatasetError(
                f"{data_dir}: no usable {label} image for training; "
                f"see {left_out_path(output)} for what was left out and why"
            )
    _write_csv(output, METADATA_COLUMNS, map(astuple, kept))
    return CleanResult(kept, left_out)


def read_metadata(path: Path) -> pd.DataFrame:
    """Read ``clean_metadata.csv``.

    Raises:
        DatasetError: the file is missing, is no CSV, lacks a column, lists an image twice, or has
            an unknown label, split or kind, or a size that is no positive number.
    """
    table = _read_csv(path, METADATA_COLUMNS, made_by="cxr-edge clean")
    _check_words(path, table, "label", LABELS)
    _check_words(path, table, "split", FOLDERS)
    _check_words(path, table, "kind", KINDS)
    for side in ("width", "height"):
        _check_positive(path, table, side)
    return table


def write_splits(path: Path, splits: pd.DataFrame) -> None:
    """Write ``splits.csv`` with the columns ``path, md5, split``."""
    rows = splits.loc[:, list(SPLIT_COLUMNS)].itertuples(index=False, name=None)
    _write_csv(path, SPLIT_COLUMNS, rows)


def read_splits(path: Path, metadata: pd.DataFrame) -> pd.DataFrame:
    """Join ``splits.csv`` to the metadata it was made from.

    Returns:
        The metadata rows that were given a split, ``split`` being ``train``, ``validation`` or
        ``test`` instead of the data set's own folder.

    Raises:
        DatasetError: the file is missing or damaged, belongs to other metadata, or puts a patient
            into two splits.
    """
    splits = _read_csv(path, SPLIT_COLUMNS, made_by="cxr-edge split")
    _check_words(path, splits, "split", SPLITS)
    joined = metadata.drop(columns="split").merge(
        splits[list(SPLIT_COLUMNS)], on=["path", "md5"], how="inner", validate="one_to_one"
    )
    if len(joined) != len(splits):
        raise DatasetError(
            f"{path}: {len(splits) - len(joined)} images are not in the metadata; "
            "make the splits again with cxr-edge split"
        )
    known = joined[joined["patient"] != ""]
    shared = known.groupby("patient")["split"].nunique() > 1
    if shared.any():
        raise DatasetError(
            f"{path}: patient {shared.index[shared.argmax()]} is in more than one split; "
            "make the splits again with cxr-edge split"
        )
    return joined


def dataset_digest(rows: pd.DataFrame) -> str:
    """SHA-256 over split, label and MD5 of every image: the same wherever the files lie."""
    lines = sorted(",".join(row) for row in zip(rows["split"], rows["label"], rows["md5"]))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_csv(path: Path, columns: Sequence[str], *, made_by: str) -> pd.DataFrame:
    try:
        # keep_default_na: a patient called "NA" is a patient.
        table = pd.read_csv(path, keep_default_na=False, dtype={"patient": str, "md5": str})
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; make it with {made_by}") from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DatasetError(f"{path}: cannot be read as CSV ({error})") from error
    if len(table.columns) == 1 and ";" in table.columns[0]:
        raise DatasetError(f"{path}: is separated by semicolons; save it with commas")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DatasetError(
            f"{path}: has no column {', '.join(missing)}; make the file with {made_by}"
        )
    if table.empty:
        raise DatasetError(f"{path}: has no rows; make the file with {made_by}")
    twice = table["path"][table["path"].duplicated()]
    if not twice.empty:
        raise DatasetError(f"{path}: lists {twice.iloc[0]} twice; make the file with {made_by}")
    return table


def _check_words(path: Path, table: pd.DataFrame, column: str, known: Sequence[str]) -> None:
    unknown = sorted(set(map(str, table[column])) - set(known))
    if unknown:
        raise DatasetError(f"{path}: unknown {column} {unknown[0]!r}; known are {', '.join(known)}")


def _check_positive(path: Path, table: pd.DataFrame, column: str) -> None:
    numbers = pd.to_numeric(table[column], errors="coerce")
    wrong = table[column][~numbers.between(0, sys.maxsize, inclusive="neither")]  # NaN too
    if not wrong.empty:
        raise DatasetError(
            f"{path}: {column} {str(wrong.iloc[0])!r} is no positive number; "
            "make the file with cxr-edge clean"
        )


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[tuple[object, ...]]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())
