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
        ({"seed": "a"}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 2**40}, "seed must be a whole number"),
        ({"limits": None}, r"the limits must be cxr_edge\.Limits"),
        ({"limits": (1, 2, 3, 4)}, r"the limits must be cxr_edge\.Limits"),
        ({"int8": True, "calibration_images": "a"}, "calibration_images must be"),
        ({"int8": True, "calibration_images": 0}, "calibration_images must be"),
        ({"int8": "no"}, "int8 must be True or False, not 'no'"),
        ({"overwrite": 1}, "overwrite must be True or False, not 1"),
        ({"progress": None}, "progress must be a function, not None"),
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
        ({"progress": 3}, "progress must be a function, not 3"),
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


@pytest.mark.parametrize("limit", ["a", None, True, -0.1, float("nan"), float("inf")])
def test_limit_is_a_number(limit: Any) -> None:
    with pytest.raises(InvalidRequest, match="psi must be a number"):
        cxr_edge.DriftLimits(psi=limit)
    with pytest.raises(InvalidRequest, match="max_recall_drop must be a number from 0 to 1"):
        cxr_edge.Limits(limit)
    with pytest.raises(InvalidRequest, match="ks must be a number from 0 to 1"):
        cxr_edge.DriftLimits(ks=limit)


def test_limit_is_a_share_not_a_percentage() -> None:
    with pytest.raises(InvalidRequest, match="min_agreement must be a number from 0 to 1, not 98"):
        cxr_edge.Limits(min_agreement=98)
    with pytest.raises(InvalidRequest, match="rejected must be a number from 0 to 1, not 5"):
        cxr_edge.DriftLimits(rejected=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": 3}, "address must be text"),
        ({"log": ""}, "log must be a path"),
        ({"engine": "x"}, "unknown engine 'x'"),
        ({"progress": None}, "progress must be a function"),
    ],
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
