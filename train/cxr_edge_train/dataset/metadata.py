"""``clean_metadata.csv`` and ``splits.csv``: written by one stage, read by the next."""

import contextlib
import csv
import hashlib
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxr_edge_runtime.arguments import optional_path
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.files import text_output
from cxr_edge_runtime.files.outputs import check_file, has_first_line, is_stdout
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.patients import KINDS

# A data set's own folders, which its metadata names as splits.
FOLDERS = ("train", "val", "test")
SPLITS = ("train", "validation", "test")
SPLIT_COLUMNS = ("path", "md5", "split")
# Holds the acquisition domain of each film; see acquisition_weights.py.
DOMAIN_COLUMN = "look"
# Added later; metadata written before is still read.
_ADDED_COLUMN = "jpeg_step"
_LONGEST_HEADER = 2**16  # characters; of a file that may be anything


class ImageRecord(NamedTuple):
    """One row of ``clean_metadata.csv``.

    Attributes:
        path: POSIX path relative to the folder of the metadata file.
        split: the data set's own folder: ``train``, ``val`` or ``test``.
        label: one of the two class names.
        kind: ``normal``, ``bacteria``, ``virus`` or ``unknown``.
        patient: patient id, empty when unknown.
        md5: MD5 of the file, hexadecimal; it finds duplicates and does not protect from changes.
        width: upright width, pixels.
        height: upright height, pixels.
        mode: Pillow's mode of the stored image.
        bytes: size of the file.
        jpeg_step: mean step of the luma quantisation table, ``None`` when the file is not a JPEG.
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
    jpeg_step: float | None


METADATA_COLUMNS = ImageRecord._fields
_NUMBERS = ("width", "height", "bytes", _ADDED_COLUMN)


class LeftOut(NamedTuple):
    """A file that does not enter the metadata, and the reason."""

    path: str
    reason: str


def left_out_path(metadata: Path) -> Path:
    """Name the list of left-out files, for example ``clean_metadata.left_out.csv``."""
    return metadata.with_suffix(".left_out.csv")


def report_path(metadata: Path) -> Path:
    """Name the cleaning report of a metadata file, for example ``clean_metadata.report.json``."""
    return metadata.with_suffix(".report.json")


def check_metadata_output(path: Path, further: Sequence[str] = ()) -> None:
    """Check that ``clean_metadata.csv`` and the list of left-out files may be written.

    Args:
        path: the metadata file.
        further: the columns that cleaning may write beside those of :class:`ImageRecord`. Metadata
            with a column that it would not write again is not replaced.

    Raises:
        InvalidRequest: one would replace something else, or cannot be written there.
    """

    def ours(file: Path) -> bool:
        with file.open(newline="", encoding="utf-8", errors="replace") as lines:
            columns = next(csv.reader([lines.readline(_LONGEST_HEADER)]), [])
        before_added = len(METADATA_COLUMNS) - 1
        if columns[:before_added] != list(METADATA_COLUMNS[:before_added]):
            return False
        lost = [name for name in columns[before_added:] if name not in (_ADDED_COLUMN, *further)]
        if lost:
            raise InvalidRequest(
                f"{path}: has a column {lost[0]}, which cleaning would not keep; choose "
                "another output, or remove the file"
            )
        return True

    check_file(path, "a metadata file of cxr-edge clean", ours=ours)
    left_out = has_first_line(",".join(LeftOut._fields))
    check_file(left_out_path(path), "a list of left-out files", ours=left_out)


def check_splits_output(path: Path) -> None:
    """Check that ``splits.csv`` may be written.

    Raises:
        InvalidRequest: it would replace something else, or cannot be written there.
    """
    ours = has_first_line(",".join(SPLIT_COLUMNS))
    check_file(path, "a splits file of cxr-edge split", ours=ours, stdout=True)
    if not is_stdout(path):
        left_out = has_first_line(",".join(LeftOut._fields))
        check_file(left_out_path(path), "a list of left-out images", ours=left_out)


def write_metadata(
    path: Path, records: Iterable[Sequence[object]], *, further: Sequence[str] = ()
) -> None:
    """Write ``clean_metadata.csv`` row by row, so that memory does not grow with the images.

    Args:
        path: the file to write.
        records: the fields of :class:`ImageRecord`, then the values of the further columns.
        further: the names of these columns.
    """
    _write_csv(path, [*METADATA_COLUMNS, *further], records)


def write_left_out(path: Path, files: Iterable[LeftOut]) -> None:
    """Write the list of left-out files with the columns ``path, reason``."""
    _write_csv(path, LeftOut._fields, files)


def read_metadata(path: Path) -> pd.DataFrame:
    """Read ``clean_metadata.csv``.

    Args:
        path: the file to read.

    Returns:
        The columns of :class:`ImageRecord`, and any others, whose values stay text as they are
        written, so that ``01`` is not ``1``. ``jpeg_step`` is NaN where the field is empty, and
        everywhere where the file was written before the column was added.

    Raises:
        DatasetError: the file is missing, is not CSV, lacks a column, lists an image twice, under
            one path or by its MD5, or has an unknown label, split or kind, or a size that is not a
            positive number.
    """
    needed = [column for column in METADATA_COLUMNS if column != _ADDED_COLUMN]
    table = read_table(path, needed, made_by="cxr-edge clean")
    if _ADDED_COLUMN not in table.columns:
        table[_ADDED_COLUMN] = float("nan")
    for column in _NUMBERS:
        # What is no number is named below; the step alone may be empty.
        if column == _ADDED_COLUMN or not (table[column] == "").any():
            with contextlib.suppress(ValueError):
                table[column] = pd.to_numeric(table[column])
    check_values(path, table, "label", class_names(table))
    check_values(path, table, "split", FOLDERS)
    check_values(path, table, "kind", KINDS)
    for side in ("width", "height"):
        _check_positive(path, table, side)
    _check_no_copies(path, table)
    _check_test_is_named(path, table)
    return table


def images_root(root: str | Path | None, *, default: Path) -> Path:
    """The folder that the paths of a data set's images are relative to.

    Args:
        root: as the user gave it.
        default: taken where the user gave none.

    Raises:
        InvalidRequest: the given folder is no path, or there is no such folder.
    """
    given = optional_path(root, "root")
    if given is None:
        return default
    # Pixels may come from the cache, so that a wrong folder would never be looked into.
    if not given.is_dir():
        raise InvalidRequest(f"root {given}: no such folder")
    return given


def write_splits(path: Path, splits: pd.DataFrame) -> None:
    """Write ``splits.csv``.

    Args:
        path: the file to write.
        splits: rows with ``path``, ``md5`` and ``split``, and with ``look`` (the acquisition
            domain) where that is known.
    """
    columns = [column for column in (*SPLIT_COLUMNS, DOMAIN_COLUMN) if column in splits]
    _write_csv(path, columns, splits[columns].itertuples(index=False, name=None))


def read_splits(path: Path, metadata: pd.DataFrame) -> pd.DataFrame:
    """Read ``splits.csv`` and join it to the metadata it was made from.

    What the metadata calls test must be test in the splits, or be in no split. The splits may call
    further images test: that hides more of them from training, never fewer.

    Args:
        path: the file to read.
        metadata: as :func:`read_metadata` returns it.

    Returns:
        The metadata rows that have a split, with ``train``, ``validation`` or ``test`` in ``split``
        instead of the data set's own folder. A column ``look`` of the splits, the acquisition
        domain, is kept; see :mod:`cxr_edge_train.dataset.acquisition_weights`.

    Raises:
        DatasetError: the file is missing or damaged, belongs to other metadata, calls a test image
            of the metadata something else, or puts a patient into two splits.
    """
    splits = read_table(path, SPLIT_COLUMNS, made_by="cxr-edge split")
    check_values(path, splits, "split", SPLITS)
    columns = [column for column in (*SPLIT_COLUMNS, DOMAIN_COLUMN) if column in splits]
    joined = metadata.drop(columns=["split", DOMAIN_COLUMN], errors="ignore").merge(
        splits[columns], on=["path", "md5"], how="inner", validate="one_to_one"
    )
    if len(joined) != len(splits):
        raise DatasetError(
            f"{path}: {len(splits) - len(joined)} images are not in the metadata; "
            "make the splits again with cxr-edge split"
        )
    _check_test_stays_test(path, joined, metadata)
    known = joined[joined["patient"] != ""]
    shared = known.groupby("patient")["split"].nunique() > 1
    if shared.any():
        raise DatasetError(
            f"{path}: patient {shared.index[shared.argmax()]} is in more than one split; "
            "make the splits again with cxr-edge split"
        )
    return joined


def _check_test_stays_test(path: Path, joined: pd.DataFrame, metadata: pd.DataFrame) -> None:
    """Otherwise training would learn from test images, or they would be measured without a log."""
    tested = joined["path"].isin(metadata.loc[metadata["split"] == "test", "path"])
    renamed = joined[tested & (joined["split"] != "test")]
    if len(renamed):
        first = renamed.iloc[0]
        raise DatasetError(
            f"{path}: {first['path']} is test in the metadata and {first['split']} here "
            f"({_images(len(renamed))} in all); test stays test, so make the splits again with "
            "cxr-edge split"
        )


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def digest_of_test(table: pd.DataFrame) -> str:
    """Compute the digest of the test images alone; see :func:`dataset_digest`.

    Args:
        table: as :func:`read_splits` returns it.
    """
    return dataset_digest(table[table["split"] == "test"])


def without_test(table: pd.DataFrame) -> pd.DataFrame:
    """Select the training and validation images, by path: their order decides that of batches."""
    kept = table[table["split"].isin(["train", "validation"])]
    return kept.sort_values("path", ignore_index=True)


def dataset_digest(rows: pd.DataFrame) -> str:
    """Compute the SHA-256 of a data set's content, hexadecimal.

    It depends on the split, the label, the MD5 and, where the rows have it, the acquisition domain
    of every image, and not on where the files are or in which order they are listed.
    """
    columns = ["split", "label", "md5", *([DOMAIN_COLUMN] if DOMAIN_COLUMN in rows else [])]
    lines = sorted(",".join(filter(None, row)) for row in zip(*(rows[name] for name in columns)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_table(
    path: Path, columns: Sequence[str], *, made_by: str, numbers: Collection[str] = ()
) -> pd.DataFrame:
    """Read a CSV file with one film per row; empty fields are empty text.

    Args:
        path: the file to read.
        columns: the columns that it must have; the values of the first must differ.
        made_by: what makes such a file, for the advice in messages.
        numbers: the columns that hold numbers.

    Returns:
        All columns and rows of the file: those of numbers as ``float64``, the others as text.

    Raises:
        DatasetError: the file is missing, is not CSV, lacks a column, has no rows, lists a film
            twice, or has something else where a number should be.
    """
    try:
        # keep_default_na: a patient called "NA" is a patient.
        types = defaultdict[str, str](lambda: "str", dict.fromkeys(numbers, "float64"))
        table = pd.read_csv(path, keep_default_na=False, dtype=types)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; make it with {made_by}") from None
    except IsADirectoryError:
        raise DatasetError(f"{path}: is a folder; name the file that {made_by} makes") from None
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DatasetError(f"{path}: cannot be read as CSV ({error})") from error
    if len(table.columns) == 1 and set(columns) & set(table.columns[0].split(";")):
        raise DatasetError(f"{path}: is separated by semicolons; save it with commas")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DatasetError(
            f"{path}: has no column {', '.join(missing)}; make the file with {made_by}"
        )
    if table.empty:
        raise DatasetError(f"{path}: has no rows; make the file with {made_by}")
    films = table[columns[0]]
    twice = films[films.duplicated()]
    if not twice.empty:
        raise DatasetError(f"{path}: lists {twice.iloc[0]} twice; make the file with {made_by}")
    return table


def check_values(path: Path, table: pd.DataFrame, column: str, known: Sequence[str]) -> None:
    """Check that a column holds known values only.

    Args:
        path: the file that the table was read from, for the message.
        table: the table to check.
        column: the column to check.
        known: the values that are allowed.

    Raises:
        DatasetError: there is another value, which the message names.
    """
    unknown = sorted(set(map(str, table[column])) - set(known))
    if unknown:
        raise DatasetError(
            f"{path}: unknown {column} {unknown[0]!r}; choose one of {', '.join(known)}"
        )


def digests_of(table: pd.DataFrame) -> "pd.Series[str]":
    """The MD5 of each film ``[N]``, in one form however it was typed."""
    return table["md5"].str.strip().str.lower()


def _check_no_copies(path: Path, table: pd.DataFrame) -> None:
    """Under a second path a test image could be trained on, or be measured without a log."""
    digests = digests_of(table)
    copies = digests.duplicated()
    if copies.any():
        copy = int(copies.argmax())
        first = int((digests == digests.iloc[copy]).argmax())
        raise DatasetError(
            f"{path}: {table['path'].iloc[copy]} is the same file as {table['path'].iloc[first]}; "
            "make the file with cxr-edge clean, which keeps one"
        )


def _check_test_is_named(path: Path, table: pd.DataFrame) -> None:
    """A row of the test folder that was renamed by hand would be measured without a log."""
    labels = [[name] for name in class_names(table)]
    folders = [path.split("/")[:-1] for path in table["path"]]
    beside_train = {
        tuple(parts[:place])
        for parts in folders
        for place, part in enumerate(parts)
        if part.lower() == "train"
    }
    of_test = np.array(
        [
            any(
                part.lower() == "test"
                and (tuple(parts[:place]) in beside_train or parts[place + 1 : place + 2] in labels)
                for place, part in enumerate(parts)
            )
            for parts in folders
        ],
        dtype=bool,
    )
    renamed = table[of_test & (table["split"] != "test")]
    if len(renamed):
        first = renamed.iloc[0]
        raise DatasetError(
            f"{path}: {first['path']} lies in a folder named test but its split is "
            f"{first['split']} "
            f"({_images(len(renamed))} in all); test stays test, so make the file again with "
            "cxr-edge clean"
        )


def _check_positive(path: Path, table: pd.DataFrame, column: str) -> None:
    numbers = pd.to_numeric(table[column], errors="coerce")
    wrong = table[column][~numbers.between(0, sys.maxsize, inclusive="neither")]  # NaN too
    if not wrong.empty:
        raise DatasetError(
            f"{path}: {column} {str(wrong.iloc[0])!r} is not a positive number; "
            "make the file with cxr-edge clean"
        )


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with text_output(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
