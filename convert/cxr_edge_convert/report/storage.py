"""``report.json`` and ``predictions.csv`` on disk; docs/conversion-report.md describes both."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_edge_runtime.errors import ReportError
from cxr_edge_runtime.files import write_text
from cxr_edge_train.runs import write_table

REPORT = "report.json"
PREDICTIONS = "predictions.csv"
REPORT_SCHEMA_VERSION = 2

Content = dict[str, Any]


def write_content(folder: Path, content: Content, predictions: pd.DataFrame) -> None:
    """Write both files.

    Args:
        folder: of the conversion.
        content: see :func:`cxr_edge_convert.report.content.report_content`.
        predictions: one row a validation image: ``path``, ``label``, ``patient``, and the logit in
            ``keras`` and in each variant.
    """
    write_table(folder / PREDICTIONS, predictions)
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(folder / REPORT, text + "\n")


def read_content(folder: Path) -> tuple[Content, pd.DataFrame]:
    """What :func:`write_content` wrote.

    Raises:
        ReportError: no conversion in this folder, a damaged one, or one of another version.
    """
    file = folder / REPORT
    try:
        content: Content = json.loads(file.read_text(encoding="utf-8"))
        version = content["schema_version"]
        table = pd.read_csv(folder / PREDICTIONS, keep_default_na=False)
    except FileNotFoundError as error:
        raise ReportError(
            f"{folder}: holds no conversion ({Path(error.filename).name} is missing); make one "
            "with cxr-edge convert"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{folder}: its report is damaged ({error}); convert again") from error
    if version != REPORT_SCHEMA_VERSION:
        raise ReportError(
            f"{file}: schema version {version}, this cxr-edge reads {REPORT_SCHEMA_VERSION}; "
            "convert again"
        )
    return content, table
