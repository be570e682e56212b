"""How good a model is on parts of its films: by age, sex, view, site and whatever else is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxr_edge_train.dataset.ages import age_text
from cxr_edge_train.dataset.class_names import CLASSES_COLUMN, positives
from cxr_edge_train.dataset.metadata import METADATA_COLUMNS
from cxr_edge_train.statistics.intervals import Interval, wilson_interval

# Of fewer films of a label a share says little; they are marked.
FEW = 30
# A column with more values names films or people, not groups of them.
_MOST_VALUES = 20
_KIND, _AGE = "kind", "age"
_NOT_GROUPS = frozenset({*METADATA_COLUMNS, CLASSES_COLUMN}) - {_KIND}
# The youngest age of each band, years.
_BANDS = {
    0: "under 1 year", 1: "1 to 4 years", 5: "5 to 17 years", 18: "18 to 39 years",
    40: "40 to 64 years", 65: "65 years and over",
}  # fmt: skip
_UNKNOWN = "not stated"
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The films with one value in a column of the metadata.

    Attributes:
        column: name of the column.
        value: what the column says of these films; of an age its band.
        n: number of films.
        sensitivity: share of the positive films that are called so, with Wilson's interval; None
            where there is none.
        specificity: share of the negative films that are called so, likewise.
    """

    column: str
    value: str
    n: int
    sensitivity: Interval | None
    specificity: Interval | None

    @property
    def name(self) -> str:
        """The column and the value, such as ``view AP``."""
        return f"{self.column} {self.value}"


def find_subgroups(predictions: pd.DataFrame, films: pd.DataFrame) -> tuple[Subgroup, ...]:
    """Measure each value of each column that divides the films into groups.

    Columns that clean writes of its own, but for the kind, are left out, and so are those with one
    value or with more than 20.

    Args:
        predictions: rows with ``label`` and ``decision``.
        films: the same rows of the metadata.
    """
    positive = positives(predictions) == 1
    correct = (predictions["label"] == predictions["decision"]).to_numpy()
    found = []
    for column, values in _columns(films):
        for value in _in_order(values):
            chosen = (values == value).to_numpy()
            shares = []
            for of_label in (chosen & positive, chosen & ~positive):
                n = int(of_label.sum())
                shares.append(wilson_interval(int(correct[of_label].sum()), n) if n else None)
            found.append(Subgroup(column, value, int(chosen.sum()), *shares))
    return tuple(found)


def large_columns(films: pd.DataFrame) -> tuple[str, ...]:
    """Warn of columns that have too many values to be groups, in at most one sentence."""
    names = [column for column, values in _all_columns(films) if values.nunique() > _MOST_VALUES]
    if not names:
        return ()
    return (
        f"no subgroups by {' and '.join(names)}: more than {_MOST_VALUES} values. Ages are put "
        f"into bands if their column is called {_AGE}",
    )


def worst_of(subgroups: Sequence[Subgroup], measure: str) -> Subgroup | None:
    """The subgroup with the lowest value of a measure; None where there is none of enough films.

    Args:
        subgroups: from :func:`find_subgroups`.
        measure: ``sensitivity`` or ``specificity``.
    """
    large = [
        group
        for group in subgroups
        if (share := getattr(group, measure)) is not None and share.n >= FEW
    ]
    columns = [group.column for group in large]
    # The only such group of a column cannot be worse than another.
    large = [group for group in large if columns.count(group.column) > 1]
    return min(large, key=lambda group: float(getattr(group, measure).value), default=None)


def _columns(films: pd.DataFrame) -> Iterator[tuple[str, "pd.Series[str]"]]:
    for column, values in _all_columns(films):
        if 2 <= values.nunique() <= _MOST_VALUES:
            yield column, values


def _all_columns(films: pd.DataFrame) -> Iterator[tuple[str, "pd.Series[str]"]]:
    for column in films:
        if column in _NOT_GROUPS:
            continue
        values = films[column].reset_index(drop=True).astype(str).str.strip()
        if column.lower() == _AGE:
            values = values.map(_band)
        values = values.where(values != "", _UNKNOWN).map(_shown)
        if column == _KIND and values.nunique() <= 2:
            continue  # one kind for each label says nothing more
        yield column, values


def _shown(value: str) -> str:
    """A value as it can be shown: printable, and not too long."""
    text = "".join(sign if sign.isprintable() else " " for sign in value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _band(age: str) -> str:
    years = age_text(age)
    return _BANDS[max(low for low in _BANDS if low <= float(years))] if years else ""


def _in_order(values: "pd.Series[str]") -> list[str]:
    """Bands of ages by age, others by name, the unknown last."""
    bands = list(_BANDS.values())
    return sorted(
        map(str, np.unique(values)),
        key=lambda value: (value == _UNKNOWN, bands.index(value) if value in bands else -1, value),
    )
