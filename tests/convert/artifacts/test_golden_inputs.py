import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.golden_inputs import golden_inputs, label_means
from cxr_edge_runtime.device.selftest import MAX_SHIFT
from cxr_edge_runtime.engines import Outputs
from cxr_edge_train.statistics.operating_point import OperatingPoint


def at(threshold: float) -> OperatingPoint:
    return OperatingPoint(1.0, threshold, "a rule", "validation")


class _Brightness:
    """An engine whose logit rises with the mean grey."""

    name, kernels = "numpy", "none"

    def __init__(self, slope: float) -> None:
        self._slope = slope

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        logit = self._slope * (image.mean() - 128)
        return {"logit": np.array([[logit]], dtype=np.float32)}


def test_means_are_of_each_label() -> None:
    films = np.stack([np.full((2, 2, 1), grey, np.uint8) for grey in (10, 20, 200, 100)])
    means = label_means(films, ["NORMAL", "NORMAL", "PNEUMONIA", "PNEUMONIA"])
    assert means.shape == (2, 2, 2)
    assert (means[0] == 15).all()
    assert (means[1] == 150).all()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_inputs_lie_far_from_and_near_to_the_threshold_on_both_sides(threshold: float) -> None:
    means = np.stack([np.full((4, 4), 120.0), np.full((4, 4), 136.0)])
    golden = golden_inputs(
        _Brightness(0.1), means, OperatingPoint(1.0, threshold, "a rule", "validation")
    )
    assert golden.inputs.shape == (4, 4, 4)
    away = golden.probabilities - threshold
    for side in (away[away > 0], -away[away < 0]):
        assert len(side) == 2
        assert MAX_SHIFT < side.min() < 3 * MAX_SHIFT
    assert "numpy" in golden.made_with


def test_where_the_line_does_not_cross_the_threshold_there_are_fewer() -> None:
    means = np.stack([np.full((4, 4), 200.0), np.full((4, 4), 201.0)])
    golden = golden_inputs(
        _Brightness(1.0), means, OperatingPoint(1.0, 0.5, "a rule", "validation")
    )
    assert 1 <= len(golden.inputs) <= 3
    assert (golden.probabilities > 0.5).all()
