"""The names of the two classes, and which of them is the finding that a model looks for."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.bundle.labels import Label, is_label
from cxr_edge_runtime.errors import DatasetError, InvalidRequest
from cxr_edge_runtime.typed_json import TypedJsonError, from_json

# Of metadata with other names than Kermany's: both on every row, as ``CLEAR|TB``.
CLASSES_COLUMN = "classes"
_SEPARATOR = "|"


class ClassNames(NamedTuple):
    """The two labels of a data set.

    Attributes:
        negative: the label of films without the finding.
        positive: the label of films with it, whose probability a model gives.
    """

    negative: str
    positive: str

    @property
    def is_default(self) -> bool:
        """Whether these are the names of the Kermany set, which are written down nowhere."""
        return self == KERMANY

    @property
    def column(self) -> dict[str, str]:
        """What :data:`CLASSES_COLUMN` holds; empty for the default names."""
        return {} if self.is_default else {CLASSES_COLUMN: _SEPARATOR.join(self)}


KERMANY = ClassNames("NORMAL", "PNEUMONIA")


def choose_class_names(labels: Collection[str], positive: str | None, *, where: str) -> ClassNames:
    """Name the two classes among the labels that were found.

    Args:
        labels: the labels that occur.
        positive: the label of the finding; None for the names of the Kermany set.
        where: what the labels were found in, for messages.

    Raises:
        DatasetError: there are not exactly two labels, the positive one is not among them, none was
            stated for other names, or a name cannot stand in a bundle.
    """
    if not labels:
        raise DatasetError(f"{where}: no film has a label")
    found = ", ".join(sorted(labels))
    if positive is not None and positive not in labels:
        raise DatasetError(f"{where}: no film has the positive label {positive}; found {found}")
    if len(labels) > 2:
        into = positive or KERMANY.positive
        others = set(labels) - {into}
        other = min(others - set(KERMANY) or others)
        raise DatasetError(
            f"{where}: has {len(labels)} labels, {found}; a model distinguishes two. Merge two "
            f"(map), for example {other}={into}, or remove the films of one"
        )
    if len(labels) < 2:
        raise DatasetError(f"{where}: all films have one label, {found}; both classes are needed")
    if positive is None:
        if set(labels) != set(KERMANY):
            raise DatasetError(
                f"{where}: has the labels {found}, not {' and '.join(KERMANY)}; say which one is "
                "the finding (positive), or rename labels (map)"
            )
        return KERMANY
    [negative] = set(labels) - {positive}
    for name in (negative, positive):
        try:
            from_json(Label, name, path="label")
            why = "" if is_label(name) else "use letters, digits, ( ) . _ + - and single spaces"
        except TypedJsonError as error:
            why = str(error)
        if why:
            raise DatasetError(
                f"{where}: the label {name!r} cannot be a class name ({why}); rename it (map)"
            )
    if negative.casefold() == positive.casefold():
        raise DatasetError(
            f"{where}: the labels {negative} and {positive} differ only in upper and lower case; "
            "merge or rename them (map)"
        )
    return ClassNames(negative, positive)


def check_renamed(renamed: Mapping[str, str], found: Collection[str], where: str) -> None:
    """Check that every label that is to be renamed occurs: another one was misspelt.

    Args:
        renamed: new names by old ones.
        found: the labels, or the names of folders, that occur.
        where: what they were found in, for messages.

    Raises:
        InvalidRequest: one does not occur.
    """
    unknown = sorted(set(renamed) - set(found))
    if unknown:
        raise InvalidRequest(
            f"map: {where} has no label {unknown[0]!r}; it has {', '.join(sorted(found))}"
        )


def class_names(table: pd.DataFrame) -> ClassNames:
    """The class names of a table of films, which metadata of other names than Kermany's holds.

    Raises:
        DatasetError: the column does not hold two names, the same ones on every row.
    """
    if CLASSES_COLUMN not in table:
        return KERMANY
    values = table[CLASSES_COLUMN].unique()
    names = str(values[0]).split(_SEPARATOR) if len(values) == 1 else []
    if len(names) != 2 or not all(names):
        raise DatasetError(
            f"the column {CLASSES_COLUMN} must hold the negative and the positive label, as "
            "CLEAR|TB, and the same on every row; make the metadata with cxr-edge clean"
        )
    return ClassNames(*names)


def positives(table: pd.DataFrame) -> NDArray[np.int64]:
    """Encode the labels of a table of films as ``[N] int64``: 1 is the positive class, 0 not."""
    return np.array(table["label"] == class_names(table).positive, dtype=np.int64)
