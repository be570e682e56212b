from collections.abc import Collection

import numpy as np
import pytest

from cxr_edge_convert.formats.graph import Activations, Probe
from cxr_edge_convert.quantization.bias_correction import Corrections, bias_corrections

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype(np.uint8)
SHIFT = np.array([0.5, -0.25], np.float32)


def network(first: np.ndarray | float, second: np.ndarray | float) -> Probe:
    """Two operators whose outputs are off by so much; the second also has the first's share."""

    def probe(image: np.ndarray) -> Activations:
        values = np.concatenate([image, 255 - image], axis=-1).astype(np.float32) / 255
        return {"relu": values + first, "b": 2 * (values + first) + second}

    return probe


def corrected(corrections: Corrections, seen: Collection[str]) -> Probe:
    """Both shifted by rounding, less what was corrected."""
    probe = network(SHIFT - corrections.get("a", 0), SHIFT - corrections.get("b", 0))
    return lambda image: {name: each for name, each in probe(image).items() if name in seen}


def test_each_operator_is_corrected_for_its_own_shift_alone() -> None:
    found = bias_corrections(
        network(0, 0), corrected, [("a", "relu"), ("b",)], PIXELS, channel_axis=-1
    )
    assert list(found) == ["a", "b"]
    np.testing.assert_allclose(found["a"], SHIFT, atol=1e-6)
    # Not 3 times the shift: that of the first operator is gone already.
    np.testing.assert_allclose(found["b"], SHIFT, atol=1e-6)
    right, mended = network(0, 0)(PIXELS[:1]), corrected(found, ("relu", "b"))(PIXELS[:1])
    for name, values in right.items():
        np.testing.assert_allclose(mended[name], values, atol=1e-5)


def test_operator_that_cannot_be_seen_is_left_alone() -> None:
    found = bias_corrections(network(0, 0), corrected, [("x", "y")], PIXELS, channel_axis=-1)
    assert found == {}


@pytest.mark.parametrize("axis", [1, -1])
def test_channels_may_come_first(axis: int) -> None:
    def turned(probe: Probe) -> Probe:
        return lambda image: {
            name: value.transpose(0, 3, 1, 2) if axis == 1 else value
            for name, value in probe(image).items()
        }

    found = bias_corrections(
        turned(network(0, 0)),
        lambda corrections, seen: turned(corrected(corrections, seen)),
        [("a", "relu"), ("b",)],
        PIXELS,
        channel_axis=axis,
    )
    np.testing.assert_allclose(found["b"], SHIFT, atol=1e-6)
