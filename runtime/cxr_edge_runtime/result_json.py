"""Targets and errors as ``classify --json`` prints them, one object a line."""

from typing import Any

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError

# Of these objects; raised when a field goes or means something else.
RESULT_SCHEMA_VERSION = 1


def result_as_json(file: str, prediction: Prediction, bundle: Bundle) -> dict[str, Any]:
    """One line of ``classify --json`` for an image that was classified."""
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "file": file,
        "label": prediction.label,
        "probability": prediction.probability and round(prediction.probability, 6),
        "threshold": prediction.threshold,
        "gate": {"verdict": prediction.gate.verdict, "reasons": list(prediction.gate.reasons)},
        "warnings": list(prediction.warnings),
        "timings_ms": {name: round(value, 3) for name, value in prediction.timings_ms.items()},
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "sha256": bundle.digest,
        },
        "notice": bundle.manifest.notice,
    }


def error_as_json(file: str, error: CxrEdgeError) -> dict[str, Any]:
    """One line of ``classify --json`` for an image that could not be used."""
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "file": file,
        "error": {"kind": error.kind, "message": str(error)},
    }
