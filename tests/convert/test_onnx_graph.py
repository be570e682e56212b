import numpy as np

from cxr_edge_convert.graphs import scaling_tensors
from cxr_edge_convert.onnx import to_float32, to_int8
from cxr_edge_convert.onnx_graph import OnnxProbe
from cxr_edge_convert.ranges import activation_ranges
from cxr_edge_train.recipe import Calibration
from synthetic import noisy_gradient
from tiny_model import tiny_model

PIXELS = np.stack([noisy_gradient((32, 32), seed) for seed in range(40)])[..., np.newaxis]


def test_probe_sees_int8_tensors_under_their_float_names() -> None:
    float32 = to_float32(tiny_model())
    probe = OnnxProbe(float32)
    ranges = activation_ranges(
        probe, PIXELS, scaling=scaling_tensors(probe.operators), calibration=Calibration()
    )
    int8 = to_int8(float32, ranges, target="x86")
    before, after = probe(PIXELS[:1]), OnnxProbe(int8)(PIXELS[:1])
    relu = next(name for name in before if name.endswith("_Clip"))
    assert relu in after
    assert 0 < np.abs(before[relu] - after[relu]).max() < 0.1
    np.testing.assert_array_equal(before["image"], PIXELS[:1])
