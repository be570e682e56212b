"""Write the page that lists all readings of test labels from the log of the readings.

    python models/release/write_test_log.py

The script reads docs/results/test-log.jsonl and writes docs/results/test-log.md. The text above the
table is in test_log_head.txt beside this script.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cxr_edge_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.files import write_text
from cxr_edge_train.statistics.intervals import Interval

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
# Names of the sets of films by the digest that `evaluate` logs.
FILMS = {
    "caecf0ee6d271435c061bb2fc9929240911aabe622eb993adfcc8275f4f5b130": "test",
    "e388f46adc85a5716f5bde6bbda68abb380d5bf55ed148d5c66039fc3a97fcb9": "external_adult",
}
FIGURES = {
    "AUC": "auc",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ECE": "expected_calibration_error",
}
_HEADINGS = ("date", "bundle or run", "model", "films", "number", *FIGURES, "ships as")
_DIGITS = 12  # of a SHA-256 that the page shows


def shipped_models() -> dict[str, str]:
    """Return the names of the shipped bundles by the SHA-256 of their model."""
    manifests = [
        Bundle.load(cxr_edge_models.path(name)).manifest for name in cxr_edge_models.names()
    ]
    return {manifest.files[manifest.model.file].sha256: manifest.name for manifest in manifests}


def log_page(log: str, shipped: Mapping[str, str]) -> str:
    """Write the page as Markdown.

    Args:
        log: JSON lines of :func:`cxr_edge_train.evaluation.reading_log.log_test_reading`.
        shipped: what :func:`shipped_models` returned.
    """
    rows = [_HEADINGS, ("---",) * len(_HEADINGS)]
    rows += [_row(json.loads(line), shipped) for line in log.splitlines()]
    above = Path(__file__).with_name("test_log_head.txt").read_text(encoding="utf-8")
    return above + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(reading: Mapping[str, Any], shipped: Mapping[str, str]) -> tuple[str, ...]:
    metrics = reading["metrics"]
    return (
        reading["date"],
        reading.get("bundle") or reading["run"],
        f"`{reading['model_sha256'][:_DIGITS]}`",
        FILMS.get(reading["test_digest"], f"`{reading['test_digest'][:_DIGITS]}`"),
        str(metrics["auc"]["n"]),
        *(str(Interval(**metrics[name])) if name in metrics else "–" for name in FIGURES.values()),
        shipped.get(reading["model_sha256"], "not shipped"),
    )


def main() -> None:
    """Write the page."""
    log = (RESULTS / "test-log.jsonl").read_text(encoding="utf-8")
    write_text(RESULTS / "test-log.md", log_page(log, shipped_models()))


if __name__ == "__main__":
    main()
