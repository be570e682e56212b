"""``clean_metadata.report.json``: what cleaning lost, and the verdicts on leaks and shortcuts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.evaluation.intervals import Interval

REPORT_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Flow:
    """Images of a split and label: found, then readable, then unique, then kept."""

    split: str
    label: str
    found: int
    readable: int
    unique: int
    kept: int


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two images that are nearly the same, by the correlation of their pixels."""

    first: str
    second: str
    correlation: float
    across_splits: bool
    across_labels: bool


@dataclass(frozen=True, slots=True)
class Leaks:
    """What test shares with train: patients, and pairs of equal or nearly equal images."""

    verdict: str
    patients: tuple[str, ...]
    exact: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]
    words: str


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """How well file properties alone tell the label."""

    verdict: str
    limit: float
    auc: Interval | None
    by_feature: Mapping[str, Interval]
    words: str


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """All that ``clean`` found out beside the metadata."""

    flow: tuple[Flow, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    leaks: Leaks
    shortcuts: Shortcuts


def report_path(metadata: Path) -> Path:
    """Where the report lies, for example ``clean_metadata.report.json``."""
    return metadata.with_suffix(".report.json")


def read_cleaning_report(path: Path) -> CleaningReport:
    """Read a report.

    Raises:
        DatasetError: it is missing, damaged or of another format.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != REPORT_FORMAT:
            raise DatasetError(f"{path}: of another format; run cxr-edge clean again")
        leaks, shortcuts = values["leaks"], values["shortcuts"]
        return CleaningReport(
            flow=tuple(Flow(**row) for row in values["flow"]),
            near_duplicates=tuple(NearDuplicate(**row) for row in values["near_duplicates"]),
            leaks=Leaks(
                verdict=leaks["verdict"],
                patients=tuple(leaks["patients"]),
                exact=tuple((first, second) for first, second in leaks["exact"]),
                near=tuple((first, second) for first, second in leaks["near"]),
                words=leaks["words"],
            ),
            shortcuts=Shortcuts(
                verdict=shortcuts["verdict"],
                limit=shortcuts["limit"],
                auc=Interval(**shortcuts["auc"]) if shortcuts["auc"] else None,
                by_feature={k: Interval(**v) for k, v in shortcuts["by_feature"].items()},
                words=shortcuts["words"],
            ),
        )
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file; run cxr-edge clean again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: damaged ({error}); run cxr-edge clean again") from error
