"""``report.json`` and ``predictions.csv`` on disk; docs/conversion-report.md describes both."""

import json
from pathlib import Path

import pandas as pd

from cxr_edge_convert.report.conversion_report import REPORT_SCHEMA_VERSION, ConversionReport
from cxr_edge_runtime.errors import ReportError
from cxr_edge_runtime.files import write_text
from cxr_edge_runtime.typed_json import parse_json
from cxr_edge_train.runs import write_table

REPORT = "report.json"
PREDICTIONS = "predictions.csv"


def write_report(folder: Path, report: ConversionReport, predictions: pd.DataFrame) -> None:
    """Write both files.

    Args:
        folder: the folder of the conversion.
        report: see :func:`cxr_edge_convert.report.content.conversion_report`.
        predictions: one row for each validation image: ``path``, ``label``, ``patient``, and the
            logit in ``keras`` and in each variant.
    """
    write_table(folder / PREDICTIONS, predictions)
    text = json.dumps(
        report.as_dict(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    write_text(folder / REPORT, text + "\n")


def read_report(folder: Path) -> tuple[ConversionReport, pd.DataFrame]:
    """Read what :func:`write_report` wrote.

    Raises:
        ReportError: there is no conversion in this folder, or it is damaged or of another version.
    """
    try:
        content = parse_json((folder / REPORT).read_bytes())
        version = content["schema_version"]
        if version != REPORT_SCHEMA_VERSION:
            raise ReportError(
                f"{folder / REPORT}: schema version {version}, this cxr-edge reads "
                f"{REPORT_SCHEMA_VERSION}; convert again"
            )
        report = ConversionReport.from_dict(content)
        return report, _read_predictions(folder / PREDICTIONS, report)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ReportError(
            f"{folder}: contains no conversion ({Path(error.filename).name} is missing); make one "
            "with cxr-edge convert"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(f"{folder}: its report is damaged ({error}); convert again") from error


def _read_predictions(file: Path, report: ConversionReport) -> pd.DataFrame:
    table = pd.read_csv(file, keep_default_na=False, dtype={"path": str, "patient": str})
    logits = ["keras", *(variant.name for variant in report.variants)]
    missing = [name for name in ("path", "label", "patient", *logits) if name not in table]
    if missing:
        raise ValueError(f"{file.name} has no column {missing[0]}")
    return table.astype(dict.fromkeys(logits, float))
