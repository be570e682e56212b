import numpy as np
import onnx
from onnx.numpy_helper import to_array

from calibrated import PIXELS, ranges_over
from cxr_edge_convert.formats.onnx import to_float32, to_int8
from cxr_edge_convert.formats.onnx_constants import biases, to_weight_only, with_biases
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


def test_biases_are_exchanged_where_there_are_none_and_where_there_are() -> None:
    float32 = to_float32(tiny_model())
    probe = OnnxProbe(float32)
    first, second, head = [o.name for o in probe.operators if o.takes_bias]
    change = np.linspace(-1, 1, 16).astype(np.float32)
    assert biases(float32).keys() <= {head}
    changed = with_biases(float32, {second: change})
    np.testing.assert_array_equal(biases(changed)[second], change)
    before, after = (OnnxProbe(content)(PIXELS[:1]) for content in (float32, changed))
    np.testing.assert_array_equal(after[first], before[first])
    np.testing.assert_allclose(after[second], before[second] + change[:, None, None], atol=1e-5)
    assert not np.array_equal(after[head], before[head])
    again = OnnxProbe(with_biases(changed, {second: 2 * change}))(PIXELS[:1])
    np.testing.assert_allclose(again[second], before[second] + 2 * change[:, None, None], atol=1e-5)


def test_exchanged_in_int8_they_are_those_that_quantizing_gives() -> None:
    float32 = to_float32(tiny_model())
    probe = OnnxProbe(float32)
    ranges = ranges_over(probe)
    names = [operator.name for operator in probe.operators if operator.takes_bias][:2]
    channels = {name: probe(PIXELS[:1])[name].shape[1] for name in names}
    nothing = {name: np.zeros(count, np.float32) for name, count in channels.items()}
    new = {name: np.linspace(-1, 1, count).astype(np.float32) for name, count in channels.items()}

    def int8(values: dict[str, np.ndarray]) -> bytes:
        return to_int8(with_biases(float32, values), ranges, target="arm64")

    exchanged, quantized = OnnxProbe(with_biases(int8(nothing), new)), OnnxProbe(int8(new))
    for image in PIXELS[:4, np.newaxis]:
        wanted = quantized(image)
        for name, values in exchanged(image).items():
            np.testing.assert_array_equal(values, wanted[name])
