"""Metrics on test images that were logged for the models of a comparison."""

import json
from collections.abc import Mapping
from pathlib import Path

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.statistics.intervals import Interval

Metrics = Mapping[str, Interval]
# The metrics by name of each candidate whose model was measured on test images.
Readings = Mapping[str, Metrics]


def read_test_log(log: Path, models: Mapping[str, str]) -> dict[str, Metrics]:
    """Read the metrics of the compared models that :func:`cxr_edge.evaluate` logged on test.

    Args:
        log: one JSON object per line; the file may be missing.
        models: a candidate's name by the SHA-256 of its ``model.keras``.

    Returns:
        The metrics by name, of each candidate whose model was measured.

    Raises:
        DatasetError: the log is damaged, a model was measured more than once, or two were measured
            on different test images.
    """
    readings: dict[str, Metrics] = {}
    digests: dict[str, str] = {}
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            name, digest = models.get(entry["model_sha256"]), entry["test_digest"]
            metrics = {
                metric: Interval(**values) for metric, values in entry["metrics"].items() if name
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(f"{log}: line {number} is damaged ({error})") from error
        if name in readings:
            raise DatasetError(
                f"{log}: {name} was measured on test more than once; test is evaluated once"
            )
        if name:
            readings[name] = metrics
            digests[digest] = name
    if len(digests) > 1:
        raise DatasetError(
            f"{log}: {' and '.join(digests.values())} were measured on different test images; "
            "metrics of different images do not show which model is better"
        )
    return readings
