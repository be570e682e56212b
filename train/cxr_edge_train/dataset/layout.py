"""The films of a data set where they lie, and the label that a folder or a table gives each."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.images import HEATMAP_SUFFIX, is_image_file
from cxr_edge_train.dataset.class_names import (
    KERMANY,
    ClassNames,
    check_renamed,
    choose_class_names,
)
from cxr_edge_train.dataset.labels_file import LabelledFilm, Labels
from cxr_edge_train.dataset.metadata import FOLDERS
from cxr_edge_train.dataset.test_films import SPLIT_WORDS, TEST, lies_in_test

# Reasons to leave a file out.
UNLABELLED = "no label is given"
NOT_THERE = "a label is given, but there is no such file"

_NONE: Mapping[str, str] = MappingProxyType({})
# Of a folder that is not understood, so many entries are named.
_SHOWN = 6


class FoundFile(NamedTuple):
    """A file of a data set.

    Attributes:
        path: POSIX path relative to the data set.
        split: the data set's own folder.
        label: one of the class names; empty where the file has none.
        refused: why the file is left out unread; empty for others.
        patient: as the user's table of labels names it; empty where there is none.
        columns: the further columns of that table.
    """

    path: str
    split: str
    label: str
    refused: str = ""
    patient: str = ""
    columns: Mapping[str, str] = _NONE


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where the films of a data set lie.

    Attributes:
        folder: the folder of the data set.
        names: the names of the classes.
        roots: the folders with films below it, each with the split that its films are in; the
            empty name is the folder itself.
        renamed: new names of label folders.
        labels: the user's table of labels; None where folders are the labels.
    """

    folder: Path
    names: ClassNames
    roots: Mapping[str, str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    labels: Labels | None = None

    def files(self) -> Iterator[FoundFile]:
        """Find all files, with one folder in memory at a time.

        Hidden files (``.DS_Store``) and the ``__MACOSX`` folder of the Kaggle archive are not
        listed.

        Yields:
            The files split by split, and by path within a split; at last those of the table of
            labels that are not there.

        Raises:
            DatasetError: a label folder is empty or cannot be read.
        """
        if self.labels is not None:
            yield from _by_table(self.folder, self.labels.films)
            return
        for root, split in self.roots.items():
            folder = self.folder / root
            for name, label in _label_folders(folder, self.renamed).items():
                if label in self.names and next(_walk(folder / name, ""), None) is None:
                    raise DatasetError(
                        f"{folder / name}: the folder holds no files; put images there, or remove "
                        "it"
                    )
            prefix = f"{root}/" if root else ""
            for path in _walk(folder, prefix):
                name, *below = path.removeprefix(prefix).split("/", 1)
                label = self.renamed.get(name, name)
                if below and label in self.names:
                    yield FoundFile(path, split, label)
                elif root or is_image_file(self.folder / path):
                    # Beside label folders without a split lies what has nothing to do with them.
                    refused = f"not below {' or '.join(self.names)}"
                    yield FoundFile(path, split, "", refused)
        if "" not in self.roots:
            yield from self._beside_splits()

    def _beside_splits(self) -> Iterator[FoundFile]:
        """Images beside train, val and test, which must not be left out silently."""
        refused = f"not below {', '.join(FOLDERS)}"
        for entry in sorted(_entries(self.folder), key=lambda entry: entry.name):
            if entry.name in self.roots or _is_hidden(entry.name):
                continue
            below = _walk(Path(entry), f"{entry.name}/") if entry.is_dir() else [entry.name]
            for path in below:
                if is_image_file(self.folder / path):
                    yield FoundFile(path, "", "", refused)

    @property
    def names_patients(self) -> bool:
        """Whether the table of labels names patients; then nothing else does."""
        return self.labels is not None and self.labels.names_patients

    @property
    def film_folders(self) -> tuple[Path, ...]:
        """The folders in which nothing but films belongs."""
        if self.labels is not None:
            return ()
        return tuple(
            self.folder / root / name
            for root in self.roots
            for name in ([""] if root else _label_folders(self.folder, self.renamed))
        )


def open_dataset(
    folder: Path,
    *,
    labels: Labels | None = None,
    renamed: Mapping[str, str] = _NONE,
    positive: str | None = None,
) -> DataSet:
    """Find out how a data set is laid out, and what its two classes are called.

    Args:
        folder: with ``train|val|test`` and label folders in them, or with label folders; with a
            table of labels in any order.
        labels: the user's table of labels.
        renamed: new names of label folders; labels of a table are renamed when it is read.
        positive: the label of the finding; None for ``NORMAL`` and ``PNEUMONIA``.

    Raises:
        DatasetError: the folder is missing or laid out in another way, or does not have two
            classes; see :func:`cxr_edge_train.dataset.class_names.choose_class_names`.
    """
    if not folder.is_dir():
        why = "is a file, not a folder" if folder.exists() else "no such folder"
        raise DatasetError(
            f"{folder}: {why}; name the folder with train/NORMAL and train/PNEUMONIA, or "
            "films whose labels are in a table (labels)"
        )
    if labels is not None:
        _check_some_there(folder, labels)
        found = {film.label for film in labels.films.values() if film.label}
        names = choose_class_names(found, positive, where=str(labels.file))
        return DataSet(folder, names, {"": "train"}, labels=labels)
    own = [name for name in FOLDERS if (folder / name).is_dir()]
    if own:
        _check_spelling(folder)
    # Of a test folder alone the films stay test.
    roots = {name: name for name in own} if own else {"": _split_of(folder)}
    folders = {name: _label_folders(folder / name, renamed) for name in roots}
    check_renamed(renamed, {name for below in folders.values() for name in below}, str(folder))
    first = next(iter(roots))
    for name in KERMANY if positive is None else ():
        if name not in folders[first].values() or (own and first != "train"):
            raise _unknown_layout(folder, f"train/{name}" if own else name, renamed)
    found = {
        label
        for root in roots
        for name, label in folders[root].items()
        if (positive is None and label in KERMANY) or any(film_files(folder / root / name))
    }
    return DataSet(folder, choose_class_names(found, positive, where=str(folder)), roots, renamed)


def _check_spelling(folder: Path) -> None:
    """A split that is called otherwise would be left out as a whole."""
    for name in _label_folders(folder, {}):
        meant = SPLIT_WORDS.get(name.lower())
        if meant in (None, name) or not any(film_files(folder / name)):
            continue
        what = f"move its films to {meant}" if (folder / meant).is_dir() else f"call it {meant}"
        raise DatasetError(f"{folder / name}: {what}, so that they are used, or move it elsewhere")


def _split_of(folder: Path) -> str:
    if lies_in_test(folder):
        return TEST
    name = folder.name.lower()
    return name if name in FOLDERS else "train"


def film_files(folder: Path) -> Iterator[str]:
    """The images below a folder by their POSIX paths in it; no hidden ones and no heat maps.

    Raises:
        DatasetError: a folder cannot be read.
    """
    for path in _walk(folder, ""):
        if not path.endswith(HEATMAP_SUFFIX) and is_image_file(folder / path):
            yield path


def _by_table(folder: Path, films: Mapping[str, LabelledFilm]) -> Iterator[FoundFile]:
    unseen = set(films)
    for path in _walk(folder, ""):
        film = films.get(path)
        unseen.discard(path)
        if film is not None and film.label:
            yield FoundFile(path, film.split, film.label, "", film.patient, film.columns)
        elif film is not None or is_image_file(folder / path):
            yield FoundFile(path, "", "", UNLABELLED)
    for path in sorted(unseen):
        yield FoundFile(path, "", "", NOT_THERE)


def _check_some_there(folder: Path, labels: Labels) -> None:
    if not any((folder / path).is_file() for path in labels.films):
        raise DatasetError(
            f"{labels.file}: none of its {len(labels.films)} films is below {folder}; paths are "
            f"relative to that folder, and the first is {next(iter(labels.films))}"
        )


def _unknown_layout(folder: Path, missing: str, renamed: Mapping[str, str]) -> DatasetError:
    """Say what there is, and which option takes it."""
    root = folder / "train" if (folder / "train").is_dir() else folder
    others = [
        label
        for name, label in _label_folders(root, renamed).items()
        if any(film_files(root / name))
    ]
    hints = ["a table with the columns path and label takes films in any folders (labels)"]
    if len(others) == 2:
        hints.insert(0, f"{' and '.join(others)} can be the classes: say which one is the finding")
        hints[0] += " (positive)"
    if len(others) > 1:
        hints.insert(-1, f"{others[0]}=NORMAL, for example, renames or merges label folders (map)")
    return DatasetError(
        f"{folder}: has no folder {missing}; expected train|val|test / NORMAL|PNEUMONIA (val and "
        f"test may be absent) or NORMAL|PNEUMONIA. Found {_shown(root)}; {'; '.join(hints)}"
    )


def _shown(folder: Path) -> str:
    entries = [
        f"{entry.name}/" if entry.is_dir() else entry.name
        for entry in sorted(folder.iterdir())
        if not _is_hidden(entry.name)
    ]
    more = f" and {len(entries) - _SHOWN} more" if len(entries) > _SHOWN else ""
    return f"in {folder}: {', '.join(entries[:_SHOWN]) or 'nothing'}{more}"


def _label_folders(folder: Path, renamed: Mapping[str, str]) -> dict[str, str]:
    """The folders in a folder, each with the label that it stands for."""
    if not folder.is_dir():
        return {}
    names = sorted(
        entry.name for entry in _entries(folder) if entry.is_dir() and not _is_hidden(entry.name)
    )
    return {name: renamed.get(name, name) for name in names}


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _entries(folder: Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        # Skipping the folder silently would leave its films out.
        raise DatasetError(f"{folder}: cannot be read ({error.strerror})") from error


def _walk(folder: Path, prefix: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Walk a folder in the order of its sorted paths; links are followed.

    Names are joined as text: with thousands of files per second, joining paths would be slow.
    """
    here = os.path.realpath(folder)
    if here in above:  # a link to a folder that it lies in
        return
    names = sorted(
        (entry.name, entry.is_dir()) for entry in _entries(folder) if not _is_hidden(entry.name)
    )
    for name, is_folder in names:
        if is_folder:
            yield from _walk(folder / name, f"{prefix}{name}/", above | {here})
        else:
            yield prefix + name
