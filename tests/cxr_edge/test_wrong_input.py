"""The Python API refuses what makes no sense with an error of cxr-edge, and says what is wrong."""

from pathlib import Path
from typing import Any

import pytest

import cxr_edge
from cxr_edge_runtime.errors import ExtraMissing, InvalidRequest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": None}, "the formats must be one or more of"),
        ({"formats": 3}, "the formats must be one or more of"),
        ({"formats": "tflite"}, "the formats must be one or more of"),
        ({"seed": "a"}, "seed must be an integer"),
        ({"seed": -1}, "seed must be an integer"),
        ({"seed": 2**40}, "seed must be an integer"),
        ({"limits": None}, r"the limits must be cxr_edge\.Limits"),
        ({"limits": (1, 2, 3, 4)}, r"the limits must be cxr_edge\.Limits"),
        ({"int8": True, "calibration_images": "a"}, "calibration_images must be"),
        ({"refit": True, "min_sensitivity": "a"}, "min_sensitivity must be a number"),
        ({"recipe": 3}, "recipe must be a path"),
        ({"target": 3}, "unknown target 3"),
    ],
)
def test_convert_refuses_before_any_work(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match=message):
        cxr_edge.convert(tmp_path / "run", tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scaling": ["0-1"]}, "unknown scaling"),
        ({"labels": 3}, "the labels must be"),
        ({"min_sensitivity": "a"}, "min_sensitivity must be a number"),
    ],
)
def test_import_refuses_before_any_work(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "own.keras").write_bytes(b"")
    with pytest.raises(InvalidRequest, match=message):
        cxr_edge.import_keras_model(
            tmp_path / "own.keras",
            tmp_path / "m.csv",
            tmp_path / "s.csv",
            tmp_path / "run",
            **options,
        )


@pytest.mark.parametrize("limits", [None, (1, 2, 3)])
def test_drift_takes_its_own_limits_alone(limits: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"limits must be cxr_edge\.DriftLimits"):
        cxr_edge.check_drift("log.db", limits=limits)


@pytest.mark.parametrize("limit", ["a", None, float("nan"), float("inf")])
def test_limit_is_a_number(limit: Any) -> None:
    with pytest.raises(InvalidRequest, match="psi must be a number"):
        cxr_edge.DriftLimits(psi=limit)
    with pytest.raises(InvalidRequest, match="max_recall_drop must be a number"):
        cxr_edge.Limits(limit)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"address": 3}, "address must be text"), ({"log": ""}, "log must be a path")],
)
def test_score_refuses_before_any_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        cxr_edge.score("films", "scores", **options)


@pytest.mark.parametrize("path", [3, None, ""])
def test_bundle_is_loaded_from_a_path(path: Any) -> None:
    with pytest.raises(InvalidRequest, match="path must be a path"):
        cxr_edge.Bundle.load(path)


def test_missing_extra_is_an_import_error_too() -> None:
    assert issubclass(ExtraMissing, ImportError)
