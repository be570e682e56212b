"""``clean_metadata.report.json``: what cleaning found out, for people and for ``cxr-edge eda``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.typed_json import TypedJsonError, from_json, parse_json
from cxr_edge_train.statistics.intervals import Interval

FORMAT = 1


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

    The file is read by the annotations, so a new field needs no other code; see
    :mod:`cxr_edge_runtime.typed_json` for the types that it may have.

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
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; make it with cxr-edge clean") from None
    except (OSError, TypedJsonError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON ({error})") from error
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != FORMAT:
        raise DatasetError(
            f"{path}: is no cleaning report of format {FORMAT}; make it with cxr-edge clean"
        )
    try:
        return from_json(CleaningReport, content, name="the report")
    except TypedJsonError as error:
        raise DatasetError(f"{path}: is damaged ({error}); make it with cxr-edge clean") from error
