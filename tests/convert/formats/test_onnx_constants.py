import numpy as np
import onnx
from onnx.numpy_helper import to_array

from calibrated import PIXELS
from cxr_edge_convert.formats.onnx import to_float32
from cxr_edge_convert.formats.onnx_constants import to_weight_only, with_biases
from cxr_edge_convert.formats.onnx_graph import OnnxProbe
from cxr_edge_runtime.bundle.manifest import OUTPUTS, InputEntry
from cxr_edge_runtime.engines import open_model
from cxr_edge_train.locator.grid import snap_kernels
from tiny_model import tiny_model


def test_kernels_on_a_grid_are_stored_in_bytes_and_compute_the_same() -> None:
    model = tiny_model()
    snap_kernels(model)
    float32 = to_float32(model)
    weight_only = to_weight_only(float32)
    assert weight_only == to_weight_only(float32)
    graph = onnx.load_from_string(weight_only).graph
    onnx.checker.check_model(onnx.load_from_string(weight_only))
    constants = {value.name: to_array(value) for value in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}
    kernels = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    for kernel in kernels:
        stored = constants[made[made[kernel].input[0]].input[0]]
        assert stored.dtype == np.int8
        # Every output channel uses its whole range.
        assert (np.abs(stored).max(axis=(1, 2, 3)) == 127).all()
    entry = InputEntry((1, 32, 32, 1), "float32", 1.0, 0)
    one, other = (open_model(content, "onnx", entry, OUTPUTS) for content in (float32, weight_only))
    for image in PIXELS[:5, np.newaxis]:
        for name, values in one.run(image).items():
            np.testing.assert_allclose(other.run(image)[name], values, atol=1e-4)


def test_biases_take_what_is_to_be_corrected() -> None:
    float32 = to_float32(tiny_model())
    probe = OnnxProbe(float32)
    first, second, head = [o.name for o in probe.operators if o.takes_bias]
    change = np.linspace(-1, 1, 16).astype(np.float32)
    # None of them has a bias yet.
    assert all(len(node.input) == 2 for node in onnx.load_from_string(float32).graph.node
               if node.op_type == "Conv")  # fmt: skip
    corrected = with_biases(float32, {second: change})
    before, after = (OnnxProbe(content)(PIXELS[:1]) for content in (float32, corrected))
    np.testing.assert_array_equal(after[first], before[first])
    np.testing.assert_allclose(after[second], before[second] - change[:, None, None], atol=1e-5)
    assert not np.array_equal(after[head], before[head])
    twice = OnnxProbe(with_biases(corrected, {second: change}))(PIXELS[:1])
    np.testing.assert_allclose(twice[second], before[second] - 2 * change[:, None, None], atol=1e-5)
