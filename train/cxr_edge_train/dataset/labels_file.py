"""``labels.csv`` of the user: which label, patient and split each film of a folder has."""

import csv
import os
import posixpath
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_train.dataset.ages import age_text
from cxr_edge_train.dataset.class_names import CLASSES_COLUMN, check_renamed
from cxr_edge_train.dataset.metadata import METADATA_COLUMNS
from cxr_edge_train.dataset.test_films import SPLIT_WORDS, TEST, lies_in_test

_PATHS = ("path", "file")
# What the file may say of a film; `path` may be called `file`.
COLUMNS = (*_PATHS, "label", "patient", "split")
# Of the further columns ages become years, and patients are looked for at several sites.
AGE, SITE = "age", "site"
_NAMED = (*COLUMNS, AGE, SITE)
_TAKEN = frozenset({*METADATA_COLUMNS, CLASSES_COLUMN}) - set(COLUMNS)
_LONGEST_HEADER = 2**16  # characters; of a file that may be anything


class LabelledFilm(NamedTuple):
    """One row of the file.

    Attributes:
        label: the label after renaming; empty where the row has none.
        split: ``train``, ``val`` or ``test``.
        patient: the patient, empty where the row names none.
        columns: all further columns, as text.
    """

    label: str
    split: str
    patient: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Labels:
    """What the file says.

    Attributes:
        file: the file, for messages.
        films: the rows by the path of the film, relative to the data set.
        names_patients: whether it has a column of patients; those of other sources do not count.
        warnings: what the user should know, one sentence each.
    """

    file: Path
    films: Mapping[str, LabelledFilm]
    names_patients: bool
    warnings: tuple[str, ...]


def read_labels(
    file: Path, data_dir: Path, *, columns: Mapping[str, str], renamed: Mapping[str, str]
) -> Labels:
    """Read the labels of a data set's films.

    Args:
        file: a CSV file with the columns ``path`` (or ``file``), relative to the data set, and
            ``label``; optionally ``patient``, ``split``, and any others, which are carried along.
        data_dir: folder of the data set.
        columns: what the file calls columns of these names, such as ``{"label": "diagnosis"}``.
        renamed: new names of labels.

    Raises:
        DatasetError: the file is missing, is not CSV, lacks a column, lists a film twice or one
            outside the data set, has an unknown split, or puts a film of the folder ``test`` into
            another one.
        InvalidRequest: the file has no column of a name in ``columns``.
    """
    table = _named(file, _read(file), columns)
    [place] = [name for name in _PATHS if name in table]
    further = [name for name in table if name not in COLUMNS]
    doubts = _with_years(table, [name for name in further if name.lower() == AGE])
    _check_no_other_splits(file, table[further])
    check_renamed(renamed, set(filter(None, table["label"])), str(file))
    films: dict[str, LabelledFilm] = {}
    tested = lies_in_test(data_dir)
    for row in table.to_dict("records"):
        path = _relative(row[place], data_dir, file)
        if path in films:
            raise DatasetError(f"{file}: lists {path} twice; keep one row for each film")
        label = row["label"]
        films[path] = LabelledFilm(
            renamed.get(label, label),
            _split(row.get("split", ""), path, data_dir, file, tested=tested),
            row.get("patient", ""),
            {name: row[name] for name in further},
        )
    return Labels(file, films, "patient" in table, doubts)


def _read(file: Path) -> pd.DataFrame:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            header = [
                name.strip() for name in next(csv.reader([lines.readline(_LONGEST_HEADER)]), [])
            ]
        _check_header(file, header)
        with warnings.catch_warnings():
            # Of rows with more fields than the first line; pandas would shift or cut them.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # utf-8-sig: spreadsheets put a mark before the first name.
            table = pd.read_csv(
                file,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
                compression=None,  # whatever the name ends in
            )
    except FileNotFoundError:
        raise DatasetError(f"{file}: no such file") from None
    except pd.errors.ParserWarning:
        raise DatasetError(f"{file}: a row has more fields than the first line") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{file}: is not UTF-8; save it as CSV UTF-8") from None
    except IsADirectoryError:
        raise DatasetError(f"{file}: is a folder; name the table of labels") from None
    # pandas' parser errors are ValueErrors
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"{file}: cannot be read as CSV ({error})") from error
    if table.empty:
        raise DatasetError(f"{file}: has no rows")
    table.columns = table.columns.str.strip()
    # A row with fewer fields than the first line has no text at its end.
    table = table.fillna("").apply(lambda column: column.str.strip())
    # Spreadsheets leave rows and columns of nothing but commas.
    unnamed = [name for name in table if name.startswith("Unnamed: ") and not any(table[name])]
    table = table.drop(columns=unnamed)
    return table[(table != "").any(axis=1)].drop_duplicates(ignore_index=True)


def _check_header(file: Path, header: Sequence[str]) -> None:
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:  # pandas would call the second one otherwise
        raise DatasetError(f"{file}: has two columns {twice[0]}; remove or rename one")
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and sign in header[0]:
            raise DatasetError(f"{file}: is separated by {name}; save it with commas")


def _check_no_other_splits(file: Path, columns: pd.DataFrame) -> None:
    """A column that says what is test, under another name, would be taken for groups of films."""
    for name in columns:
        values = set(columns[name].str.lower())
        words = {SPLIT_WORDS.get(value, value) for value in values}
        are_splits = "train" in words or words <= {*SPLIT_WORDS.values(), ""}
        if TEST in words and len(words) > 1 and are_splits:
            raise DatasetError(
                f"{file}: the column {name} seems to say which films are test; name it "
                f"(columns split={name}), or give its values other names"
            )


def _named(file: Path, table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The table with its columns called as here."""
    found = ", ".join(table.columns)
    for ours, theirs in columns.items():
        if ours not in _NAMED:
            raise InvalidRequest(f"columns: {ours} is unknown; choose one of {', '.join(_NAMED)}")
        if theirs not in table:
            raise InvalidRequest(f"columns: {file} has no column {theirs!r}; it has {found}")
    ours_of = {theirs: ours for ours, theirs in columns.items()}
    names = {
        name: ours_of.get(name, name.lower() if name.lower() in COLUMNS else name) for name in table
    }
    table = table.rename(columns=names)
    missing = [name for name in ("label",) if name not in table]
    if not set(_PATHS) & set(table.columns):
        missing.insert(0, "path")
    if missing:
        raise DatasetError(
            f"{file}: has no column {' and '.join(missing)}; it has {found}. Say which it is "
            f"(columns), for example {','.join(f'{name}=NAME' for name in missing)}"
        )
    twice = table.columns[table.columns.duplicated()]
    if len(twice) and twice[0] in columns:
        raise DatasetError(
            f"{file}: has a column {twice[0]}, which is also the new name of "
            f"{columns[twice[0]]}; remove or rename it"
        )
    if len(twice) or set(_PATHS) <= set(table.columns):
        name = twice[0] if len(twice) else " or ".join(_PATHS)
        raise DatasetError(f"{file}: has two columns {name}; remove or rename one")
    taken = sorted(_TAKEN & set(table.columns))
    if taken:
        raise DatasetError(f"{file}: clean itself writes a column {taken[0]}; remove or rename it")
    return table


def _relative(path: str, data_dir: Path, file: Path) -> str:
    """A film's POSIX path below the data set."""
    if not path:
        raise DatasetError(f"{file}: has a row without a path")
    text = path.replace("\\", "/")
    if posixpath.isabs(text):
        # Folders may be links; the film's own name stays.
        folder, name = os.path.split(text)
        text = Path(os.path.relpath(Path(os.path.realpath(folder), name), data_dir)).as_posix()
    text = posixpath.normpath(text)
    if text.split("/", 1)[0] == "..":
        raise DatasetError(f"{file}: {path} lies outside {data_dir}; paths are relative to it")
    return text


def _split(stated: str, path: str, data_dir: Path, file: Path, *, tested: bool) -> str:
    split = SPLIT_WORDS.get(stated.lower(), "")
    if stated and not split:
        raise DatasetError(
            f"{file}: {path} has the unknown split {stated!r}; choose train, val or test"
        )
    *folders, _ = [data_dir.name, *path.split("/")]
    own = {folder.lower() for folder in folders} | ({TEST} if tested else set())
    if "test" in own and split not in ("", "test"):
        raise DatasetError(
            f"{file}: {path} lies in a folder test and has the split {stated}; test stays test"
        )
    return split or ("test" if "test" in own else "val" if "val" in own else "train")


def _with_years(table: pd.DataFrame, ages: Sequence[str]) -> tuple[str, ...]:
    """Replace ages such as ``062Y`` by years; what is no age becomes empty."""
    doubts = []
    for name in ages:
        years = table[name].map(age_text)
        unknown = int(((years == "") & (table[name] != "")).sum())
        if unknown:
            example = table.loc[(years == "") & (table[name] != ""), name].iloc[0]
            doubts.append(
                f"{counted(unknown, 'film')} with an age that cannot be understood, such as "
                f"{example!r}; it is left empty"
            )
        table[name] = years
    return tuple(doubts)
