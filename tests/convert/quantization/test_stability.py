import numpy as np
import pytest

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.stability import Stability, stability
from verified_logits import FLOAT, reference

RANGES = {"a": (0.0, 1.0), "dead": (0.0, 0.0), "b": (-1.0, 1.0)}


def compared(other: dict[str, tuple[float, float]], logits: np.ndarray) -> Stability:
    first, second = (RANGES, FLOAT), (other, logits)
    return stability(reference(), first, second, images=300, limits=Limits())


def test_equal_calibrations_do_not_differ() -> None:
    found = compared(RANGES, FLOAT)
    assert (found.range_change, found.auc_change, found.flips, found.warning) == (0, 0, 0, "")
    assert found.images == 300


def test_largest_change_of_a_range_is_named() -> None:
    found = compared(RANGES | {"a": (0.0, 1.1), "b": (-1.0, 2.0)}, FLOAT)
    assert found.tensor == "b"
    assert found.range_change == pytest.approx(0.5)


def test_decisions_that_change_more_than_a_variants_may_warn() -> None:
    for count, warned in ((8, False), (9, True)):
        logits = FLOAT.copy()
        # On both sides of the threshold, and still in the right order for the AUC.
        logits[:count] = -1.0
        found = compared(RANGES, logits)
        assert found.flips == count
        assert bool(found.warning) == warned


def test_auc_that_changes_warns_either_way() -> None:
    logits = FLOAT.copy()
    logits[:3] = -3.0
    found = compared(RANGES, logits)
    assert found.auc_change == pytest.approx(-0.015)
    assert "change the AUC by -0.0150 (limit 0.005);" in found.warning


def test_warning_says_what_changed_alone() -> None:
    # Normal films that are called PNEUMONIA either way, below the true ones and then above them.
    below = FLOAT.copy()
    below[200:210] = 1.0
    above = below.copy()
    above[200:210] = 3.0
    found = stability(
        reference(logits=below), (RANGES, below), (RANGES, above), images=300, limits=Limits()
    )
    assert (found.flips, found.auc_change) == (0, pytest.approx(-0.05))
    assert found.warning == (
        "other calibration images change the AUC by -0.0500 (limit 0.005); use more calibration "
        "images or the percentile method"
    )


def test_warning_of_predictions_counts_them() -> None:
    logits = FLOAT.copy()
    logits[:9] = -1.0
    assert compared(RANGES, logits).warning.startswith(
        "other calibration images change 9 of 400 predictions (limit 8);"
    )
