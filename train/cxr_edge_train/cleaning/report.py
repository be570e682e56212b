"""``clean_metadata.report.json``: what cleaning found, for people and for ``cxr-edge eda``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.files.outputs import begins_with, check_file
from cxr_edge_runtime.typed_json import TypedJsonError, from_json, parse_json
from cxr_edge_train.cleaning.checks import registry
from cxr_edge_train.cleaning.checks.check import Summary
from cxr_edge_train.cleaning.inventory import FlowRow
from cxr_edge_train.dataset.metadata import report_path

FORMAT = 1


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
        return registry.summarise(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Convert the report to the content of the file."""
        content = asdict(self)
        return {"format": FORMAT, "flow": content["flow"], **content["findings"]}


def check_report_output(metadata: Path) -> None:
    """Check that the report of a metadata file may be written.

    Raises:
        InvalidRequest: it would replace something else, or cannot be written there.
    """
    check_file(report_path(metadata), "a cleaning report", ours=begins_with(b'{\n  "format": '))


def write_cleaning_report(path: Path, report: CleaningReport) -> None:
    """Write the report as JSON."""
    write_text(path, json.dumps(report.as_dict(), indent=2) + "\n")


def read_cleaning_report(path: Path) -> CleaningReport:
    """Read the report that lies beside the metadata.

    Raises:
        DatasetError: the file is missing or damaged, of another format, or lacks a check.
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
            f"{path}: is not a cleaning report of format {FORMAT}; make it with cxr-edge clean"
        )
    missing = [check.name for check in registry.CHECKS if check.name not in content]
    if missing:
        raise DatasetError(
            f"{path}: has no entry {missing[0]!r}, so another version of cxr-edge wrote it; make "
            "it again with cxr-edge clean"
        )
    try:
        flow = from_json(tuple[FlowRow, ...], content["flow"], path="flow")
        findings = {
            check.name: from_json(check.finding, content[check.name], path=check.name)
            for check in registry.CHECKS
        }
    except KeyError:
        raise DatasetError(
            f"{path}: is damaged (flow is missing); make it with cxr-edge clean"
        ) from None
    except TypedJsonError as error:
        raise DatasetError(f"{path}: is damaged ({error}); make it with cxr-edge clean") from error
    return CleaningReport(flow, findings)
