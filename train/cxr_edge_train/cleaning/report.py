"""``clean_metadata.report.json``: what cleaning found, for people and for ``cxr-edge eda``."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.cleaning.checks.check import Summary
from cxr_edge_train.cleaning.checks.registry import CHECKS, summarise
from cxr_edge_train.cleaning.inventory import FlowRow

FORMAT = 1

# Remembered, since a report may list thousands of near-duplicates.
_hints = functools.cache(get_type_hints)


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """Everything that cleaning found.

    Attributes:
        flow: how many files passed each step, ordered by split, then label.
        findings: what each check of :mod:`cxr_edge_train.cleaning.checks.registry` found, by the
            check's name; the type is the check's ``finding``.
    """

    flow: tuple[FlowRow, ...]
    findings: Mapping[str, Any]

    def summaries(self) -> dict[str, Summary]:
        """Summarise the findings, by the checks' labels such as ``near-duplicates``."""
        return summarise(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Convert the report to the content of the file."""
        content = asdict(self)
        return {"format": FORMAT, "flow": content["flow"], **content["findings"]}


def report_path(metadata: Path) -> Path:
    """Name the report of a metadata file, for example ``clean_metadata.report.json``."""
    return metadata.with_suffix(".report.json")


def write_cleaning_report(path: Path, report: CleaningReport) -> None:
    """Write the report as JSON."""
    write_text(path, json.dumps(report.as_dict(), indent=2) + "\n")


def read_cleaning_report(path: Path) -> CleaningReport:
    """Read the report that lies beside the metadata.

    Raises:
        DatasetError: the file is missing or damaged, of another format, or lacks a check.
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
    missing = [check.name for check in CHECKS if check.name not in content]
    if missing:
        raise DatasetError(
            f"{path}: has no entry {missing[0]!r}, so another version of cxr-edge wrote it; make "
            "it again with cxr-edge clean"
        )
    try:
        flow = _read(tuple[FlowRow, ...], content["flow"])
        findings = {check.name: _read(check.finding, content[check.name]) for check in CHECKS}
        return CleaningReport(flow, findings)
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
