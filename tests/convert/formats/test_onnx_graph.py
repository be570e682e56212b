import numpy as np

from calibrated import PIXELS, ranges_over
from cxr_edge_convert.formats.onnx import to_float32, to_int8
from cxr_edge_convert.formats.onnx_graph import OnnxProbe
from tiny_model import tiny_model


def test_probe_sees_int8_tensors_under_their_float_names() -> None:
    float32 = to_float32(tiny_model())
    probe = OnnxProbe(float32)
    int8 = to_int8(float32, ranges_over(probe), target="x86")
    before, after = probe(PIXELS[:1]), OnnxProbe(int8)(PIXELS[:1])
    relu = next(name for name in before if name.endswith("_Clip"))
    assert relu in after
    assert 0 < np.abs(before[relu] - after[relu]).max() < 0.1
    np.testing.assert_array_equal(before["image"], PIXELS[:1])
