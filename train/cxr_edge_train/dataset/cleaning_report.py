"""``clean_metadata.report.json``: what cleaning found out, for people and for ``cxr-edge eda``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.evaluation.intervals import Interval

FORMAT = 1

T = TypeVar("T")


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
        correlation: see :mod:`cxr_edge_train.dataset.near_duplicates`.
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
        verdict: ``leak`` or ``none``.
        patients: ids of patients on both sides.
        exact: pairs of byte-identical files, the training side first.
        near: pairs of near-duplicates, the training side first.
        words: the verdict in a sentence or two.
    """

    verdict: str
    patients: tuple[str, ...]
    exact: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]
    words: str


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How well properties of the file alone, no pixel looked at, tell the label.

    Attributes:
        verdict: ``alarm``, ``none`` or ``not_checked``.
        limit: alarm where the lower end of an interval is above it.
        auc: of all properties together, ``None`` when not checked.
        by_feature: AUC of each property alone, empty when not checked.
        words: the verdict in a sentence or two.
    """

    verdict: str
    limit: float
    auc: Interval | None
    by_feature: Mapping[str, Interval]
    words: str


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """All of it.

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
        return CleaningReport(
            tuple(_flow_row(row) for row in _is(content["flow"], list)),
            tuple(_near_duplicate(pair) for pair in _is(content["near_duplicates"], list)),
            _leaks(content["leaks"]),
            _shortcuts(content["shortcuts"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path}: is damaged ({type(error).__name__}: {error}); make it with cxr-edge clean"
        ) from error


def _is(value: object, kind: type[T]) -> T:
    # JSON has one kind of number; Python's bool would pass for an int.
    if kind is float and type(value) is int:
        return kind(value)  # type: ignore[call-arg]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _one_of(value: object, *known: str) -> str:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return str(value)


def _flow_row(row: dict[str, Any]) -> FlowRow:
    counts = (_is(row[name], int) for name in ("found", "readable", "unique", "kept"))
    return FlowRow(_is(row["split"], str), _is(row["label"], str), *counts)


def _near_duplicate(pair: dict[str, Any]) -> NearDuplicate:
    return NearDuplicate(
        _is(pair["first"], str),
        _is(pair["second"], str),
        _is(pair["correlation"], float),
        _is(pair["across_splits"], bool),
        _is(pair["across_labels"], bool),
    )


def _pair(pair: object) -> tuple[str, str]:
    first, second = _is(pair, list)
    return _is(first, str), _is(second, str)


def _leaks(leaks: dict[str, Any]) -> Leaks:
    return Leaks(
        _one_of(leaks["verdict"], "leak", "none"),
        tuple(_is(patient, str) for patient in _is(leaks["patients"], list)),
        tuple(map(_pair, _is(leaks["exact"], list))),
        tuple(map(_pair, _is(leaks["near"], list))),
        _is(leaks["words"], str),
    )


def _interval(interval: dict[str, Any]) -> Interval:
    value, low, high = (_is(interval[name], float) for name in ("value", "low", "high"))
    return Interval(value, low, high, _is(interval["n"], int))


def _shortcuts(shortcuts: dict[str, Any]) -> Shortcuts:
    auc = shortcuts["auc"]
    return Shortcuts(
        _one_of(shortcuts["verdict"], "alarm", "none", "not_checked"),
        _is(shortcuts["limit"], float),
        None if auc is None else _interval(auc),
        {
            name: _interval(interval)
            for name, interval in _is(shortcuts["by_feature"], dict).items()
        },
        _is(shortcuts["words"], str),
    )
