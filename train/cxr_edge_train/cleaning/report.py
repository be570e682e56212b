"""``clean_metadata.report.json``: what cleaning found out, for people and for ``cxr-edge eda``."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.statistics.intervals import Interval

FORMAT = 1

# Remembered, since a report may list thousands of near-duplicates.
_hints = functools.cache(get_type_hints)


@dataclass(frozen=True, slots=True)
class FlowRow:
    """How many files of a split and label came how far.

    Attributes:
        split: the data set's own folder: ``train``, ``val`` or ``test``.
        label: ``NORMAL`` or ``PNEUMONIA``.
        found: files in the folder, hidden ones aside.
        readable: of these, images that decode whole.
        unique: of these, without surplus exact copies.
        kept: of these, without images that stand under two labels.
    """

    split: str
    label: str
    found: int
    readable: int
    unique: int
    kept: int


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two files of different bytes that show the same picture.

    Attributes:
        first: path as in the metadata.
        second: path as in the metadata.
        correlation: see :mod:`cxr_edge_train.cleaning.near_duplicates`.
        across_splits: one is in test, the other in train or val.
        across_labels: their labels differ.
    """

    first: str
    second: str
    correlation: float
    across_splits: bool
    across_labels: bool


@dataclass(frozen=True, slots=True)
class Leaks:
    """What train and test share, in the data as found. ``val`` counts as train, which it joins.

    Attributes:
        verdict: whether there is any.
        patients: ids of patients on both sides.
        exact: pairs of byte-identical files, the training side first.
        near: pairs of near-duplicates, the training side first.
        words: the verdict in a sentence or two.
    """

    verdict: Literal["leak", "none"]
    patients: tuple[str, ...]
    exact: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]
    words: str


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How well properties of the file alone, no pixel looked at, tell the label.

    Attributes:
        verdict: see ``limit``; not checked where there are too few patients.
        limit: alarm where the lower end of an interval is above it.
        auc: of all properties together, ``None`` when not checked.
        by_feature: AUC of each property alone, empty when not checked.
        words: the verdict in a sentence or two.
    """

    verdict: Literal["alarm", "none", "not_checked"]
    limit: float
    auc: Interval | None
    by_feature: Mapping[str, Interval]
    words: str


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """All of it.

    The file is read by the annotations. A field more needs no other code if it is a dataclass like
    these, ``X | None``, a ``Literal``, ``tuple`` or ``Mapping``, or of a type that JSON has.

    Attributes:
        flow: by split, then label.
        near_duplicates: ordered by path.
        leaks: see there.
        shortcuts: see there.
    """

    flow: tuple[FlowRow, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    leaks: Leaks
    shortcuts: Shortcuts

    def as_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {"format": FORMAT, **asdict(self)}


def report_path(metadata: Path) -> Path:
    """Where the report lies, for example ``clean_metadata.report.json``."""
    return metadata.with_suffix(".report.json")


def write_cleaning_report(path: Path, report: CleaningReport) -> None:
    """Write the report."""
    write_text(path, json.dumps(report.as_dict(), indent=2) + "\n")


def read_cleaning_report(path: Path) -> CleaningReport:
    """Read the report that lies beside the metadata.

    Raises:
        DatasetError: the file is missing or damaged, or of a later format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; make it with cxr-edge clean") from None
    except (OSError, ValueError) as error:  # not UTF-8 and not JSON are ValueErrors
        raise DatasetError(f"{path}: cannot be read as JSON ({error})") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise DatasetError(
            f"{path}: is no cleaning report of format {FORMAT}; make it with cxr-edge clean"
        )
    try:
        report: CleaningReport = _read(CleaningReport, content)
        return report
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DatasetError(
            f"{path}: is damaged ({type(error).__name__}: {error}); make it with cxr-edge clean"
        ) from error


def _read(expected: Any, value: Any) -> Any:
    """``value`` of the JSON as the type that is annotated, recursively."""
    origin, arguments = get_origin(expected), get_args(expected)
    if isinstance(expected, type) and dataclasses.is_dataclass(expected):
        values, hints = _is(dict, value), _hints(expected)
        return expected(**{name: _read(hint, values[name]) for name, hint in hints.items()})
    if type(None) in arguments:
        return None if value is None else _read(arguments[0], value)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{value!r} is none of {', '.join(arguments)}")
        return value
    if origin is tuple:
        items = _is(list, value)
        kinds = arguments[:1] * len(items) if arguments[-1] is ... else arguments
        return tuple(_read(kind, item) for kind, item in zip(kinds, items, strict=True))
    if origin is Mapping:
        return {name: _read(arguments[1], item) for name, item in _is(dict, value).items()}
    return _is(expected, value)


def _is(kind: type, value: Any) -> Any:
    # JSON has one kind of number. Python's bool would pass for an int.
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
