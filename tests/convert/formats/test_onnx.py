import subprocess
import sys

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.numpy_helper import to_array

import cxr_edge_convert.formats.onnx as convert_onnx
from calibrated import PIXELS, ranges_over
from cxr_edge_convert.formats.graph import Ranges, blocks, output_operators
from cxr_edge_convert.formats.onnx import OPSET, to_float32, to_int8, with_metadata
from cxr_edge_convert.formats.onnx_graph import OnnxProbe, operators
from cxr_edge_runtime.bundle.manifest import OUTPUTS, InputEntry
from cxr_edge_runtime.engines import open_model
from cxr_edge_runtime.errors import ConversionError
from tiny_model import tiny_model

ENTRY = InputEntry((1, 32, 32, 1), "float32", 1.0, 0)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def float32(model: keras.Model) -> bytes:
    return to_float32(model)


@pytest.fixture(scope="module")
def ranges(float32: bytes) -> Ranges:
    return ranges_over(OnnxProbe(float32))


@pytest.fixture(scope="module")
def int8(float32: bytes, ranges: Ranges) -> bytes:
    return to_int8(float32, ranges, target="x86")


def logits(content: bytes) -> np.ndarray:
    run = open_model(content, "onnx", ENTRY, OUTPUTS).run
    return np.array([run(image[np.newaxis])["logit"][0, 0] for image in PIXELS])


def zero_points(content: bytes) -> dict[int, int]:
    """How many activation tensors have which type."""
    graph = onnx.load_from_string(content).graph
    types = {value.name: value.data_type for value in graph.initializer}
    found = [types[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    return {kind: found.count(kind) for kind in set(found)}


def test_float32_equals_keras(model: keras.Model, float32: bytes) -> None:
    run = open_model(float32, "onnx", ENTRY, OUTPUTS).run
    for image in PIXELS[:10]:
        ours = run(image[np.newaxis])
        theirs = model.predict_on_batch({"image": image[np.newaxis].astype(np.float32)})
        for name in OUTPUTS:
            np.testing.assert_allclose(ours[name], np.asarray(theirs[name]), atol=1e-5)


def test_files_are_valid_with_stated_opset_and_batch_1(float32: bytes, int8: bytes) -> None:
    for content in (float32, int8):
        loaded = onnx.load_from_string(content)
        onnx.checker.check_model(loaded, full_check=True)
        assert [(entry.domain, entry.version) for entry in loaded.opset_import] == [("", OPSET)]
        [image] = loaded.graph.input
        assert image.name == "image"
        assert [side.dim_value for side in image.type.tensor_type.shape.dim] == [1, 32, 32, 1]
        assert {value.name for value in loaded.graph.output} == set(OUTPUTS)


def test_batch_normalisation_is_folded(float32: bytes) -> None:
    kinds = [operator.kind for operator in operators(onnx.load_from_string(float32).graph)]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 3
    assert kinds.count("Add") == 1  # of the scaling


@pytest.mark.slow
def test_same_model_gives_the_same_bytes_whatever_the_process_did_before(
    model: keras.Model, float32: bytes, ranges: Ranges, int8: bytes
) -> None:
    to_float32(tiny_model(size=40, seed=1))
    assert to_float32(model) == float32
    assert to_int8(float32, ranges, target="x86") == int8
    program = (
        "import hashlib, sys; from tiny_model import tiny_model; "
        "from cxr_edge_convert.formats.onnx import to_float32; "
        "sys.stdout.write(hashlib.sha256(to_float32(tiny_model())).hexdigest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    }
    assert len(hashes) == 1


def test_activations_are_unsigned_for_x86_and_signed_for_arm(
    float32: bytes, ranges: Ranges, int8: bytes
) -> None:
    assert set(zero_points(int8)) == {TensorProto.UINT8}
    assert set(zero_points(to_int8(float32, ranges, target="arm64"))) == {TensorProto.INT8}


@pytest.mark.parametrize(("target", "first"), [("arm64", -128), ("x86", 0)])
def test_all_256_steps_lie_within_the_range(
    float32: bytes, ranges: Ranges, target: str, first: int
) -> None:
    content = onnx.load_from_string(to_int8(float32, ranges, target=target))
    constants = {value.name: to_array(value) for value in content.graph.initializer}
    found = {
        node.input[0]: (float(constants[node.input[1]]), int(constants[node.input[2]]))
        for node in content.graph.node
        if node.op_type == "QuantizeLinear"
    }
    assert len(found) == 3
    for name, (scale, zero_point) in found.items():
        low, high = ranges[name]
        assert scale == pytest.approx((high - low) / 255, rel=1e-3)
        assert zero_point == pytest.approx(first - low / scale, abs=0.51)


def test_weights_are_int8_per_channel(int8: bytes) -> None:
    graph = onnx.load_from_string(int8).graph
    constants = {value.name: value for value in graph.initializer}
    channels = [
        len(constants[node.input[1]].dims) and constants[node.input[1]].dims[0]
        for node in graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in constants
        and len(constants[node.input[0]].dims) == 4
    ]
    assert sorted(channels) == [8, 16]


def test_scaling_and_head_stay_in_float(int8: bytes) -> None:
    graph = onnx.load_from_string(int8).graph
    floats = {
        name: node.op_type
        for node in graph.node
        for name in node.input
        if node.op_type in ("Mul", "Add", "Conv", "GlobalAveragePool")
    }
    assert floats["image"] == "Mul"
    assert len(set(logits(int8).tolist())) == len(PIXELS)


def test_int8_logits_stay_close_to_float(float32: bytes, ranges: Ranges, int8: bytes) -> None:
    before = logits(float32)
    assert np.abs(before - logits(int8)).max() < 0.02
    assert np.abs(before - logits(to_int8(float32, ranges, target="arm64"))).max() < 0.02


def test_blocks_named_stay_in_float(float32: bytes, ranges: Ranges, int8: bytes) -> None:
    probe = OnnxProbe(float32)
    groups = blocks(probe.operators, output_operators(probe.operators, probe.outputs))
    everything = to_int8(
        float32, ranges, target="x86", in_float=[name for group in groups for name in group]
    )
    assert zero_points(everything) == {}
    np.testing.assert_allclose(logits(everything), logits(float32), atol=1e-5)
    assert len(groups) == 2


def test_metadata_is_kept_in_the_file(int8: bytes) -> None:
    content = with_metadata(int8, {"key": "value"})
    assert [(p.key, p.value) for p in onnx.load_from_string(content).metadata_props] == [
        ("key", "value")
    ]
    np.testing.assert_array_equal(logits(content), logits(int8))


def test_layer_that_onnx_cannot_express_is_one_clear_error(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ValueError("Unsupported op FancyOp\nand more")

    monkeypatch.setattr(convert_onnx.keras.Model, "export", refuse)
    with pytest.raises(
        ConversionError, match=r"^ONNX cannot express .*FancyOp\); .*TFLite instead$"
    ):
        to_float32(model)


@pytest.mark.parametrize("target", ["arm64", "x86"])
def test_products_that_x86_adds_in_16_bits_do_not_overflow(target: str) -> None:
    image = keras.Input((32, 32, 1), name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(image)
    x = keras.layers.Conv2D(5, 3, name="spatial")(scaled)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.Conv2D(4, 1, name="pointwise")(x)
    cam = keras.layers.Conv2D(1, 1, name="cam")(x)
    logit = keras.layers.GlobalAveragePooling2D(name="logit")(cam)
    float32 = to_float32(keras.Model({"image": image}, {"cam": cam, "logit": logit}))
    made = to_int8(float32, ranges_over(OnnxProbe(float32)), target=target)
    weights = {
        tuple(constant.dims): to_array(constant).astype(int)
        for constant in onnx.load_from_string(made).graph.initializer
        if constant.data_type == TensorProto.INT8 and len(constant.dims) == 4
    }
    # Added in 32 bits: all steps are used.
    assert np.abs(weights[5, 1, 3, 3]).max() == 127
    # The neighbours are known: only what two of one sign need is given up.
    pointwise = np.pad(weights[4, 5, 1, 1][:, :, 0, 0], ((0, 0), (0, 1))).reshape(4, 3, 2)
    sums = [np.abs(pointwise * (np.sign(pointwise) == sign)).sum(axis=2) for sign in (1, -1)]
    assert 126 <= np.max(sums) <= 128
    assert np.abs(pointwise).max() > 64


def test_weights_whose_neighbours_are_not_known_have_7_bits(int8: bytes) -> None:
    spatial = [
        np.abs(to_array(constant).astype(int)).max()
        for constant in onnx.load_from_string(int8).graph.initializer
        if constant.data_type == TensorProto.INT8
        and len(constant.dims) == 4
        and constant.dims[2:] == [3, 3]
        and constant.dims[1] > 1
    ]
    assert spatial
    assert max(spatial) == 64
