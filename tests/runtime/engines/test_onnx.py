import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from cxr_edge_runtime.bundle.manifest import InputEntry
from cxr_edge_runtime.engines import open_model
from cxr_edge_runtime.errors import EngineError, EngineMissing

FLOAT32 = InputEntry((1, 4, 4, 1), "float32", 1.0, 0)
OUTPUTS = ("cam", "logit")


def model(
    *,
    input_name: str = "image",
    side: int = 4,
    logit_shape: tuple[int, ...] = (1, 1),
    cam_type: int = TensorProto.FLOAT,
) -> bytes:
    """Gives the image as the map and its mean as the logit."""
    image = helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [1, side, side, 1])
    cam = helper.make_tensor_value_info("cam", cam_type, [1, side, side, 1])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, list(logit_shape))
    nodes = [
        helper.make_node("Cast", [input_name], ["cam"], to=cam_type),
        helper.make_node("ReduceMean", [input_name], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["logit"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [len(logit_shape)], logit_shape)
    graph = helper.make_graph(nodes, "test", [image], [cam, logit], [shape])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def test_outputs_come_by_name_as_floats() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    outputs = open_model(model(), "onnx", FLOAT32, ("logit", "cam")).run(image)
    np.testing.assert_array_equal(outputs["cam"], image.astype(np.float32))
    assert outputs["logit"].dtype == np.float32
    assert outputs["logit"].tolist() == [[7.5]]


def test_threads_change_nothing() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    one, two = (
        open_model(model(), "onnx", FLOAT32, OUTPUTS, threads=threads).run(image)["logit"]
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("content", [b"", b"garbage" * 20, model()[:60]])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(EngineError, match=r"cannot load the model|signature"):
        open_model(content, "onnx", FLOAT32, OUTPUTS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (model(side=5), "the manifest states"),
        (model(input_name="x"), r"expected \['image'\]"),
        (model(cam_type=TensorProto.DOUBLE), "outputs are not all float32"),
        (model(logit_shape=(1, 1, 1)), r"logit has shape \[1, 1, 1\], not \[1, 1\]"),
        (model(logit_shape=(1,)), r"logit has shape \[1\], not \[1, 1\]"),
    ],
)
def test_model_other_than_stated_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        open_model(content, "onnx", FLOAT32, OUTPUTS)


def test_image_of_another_size_is_an_error_of_the_engine() -> None:
    with pytest.raises(EngineError, match=r"onnxruntime cannot run the model \("):
        open_model(model(), "onnx", FLOAT32, OUTPUTS).run(np.zeros((1, 5, 5, 1), np.uint8))


def test_missing_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        EngineMissing, match=r"onnxruntime is not installed; .*install '\.\[onnx\]'"
    ):
        open_model(model(), "onnx", FLOAT32, OUTPUTS)


def test_loading_prints_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    open_model(model(), "onnx", FLOAT32, OUTPUTS)
    assert capfd.readouterr() == ("", "")


def test_session_has_the_threads_asked_for_which_do_not_spin() -> None:
    engine = open_model(model(), "onnx", FLOAT32, OUTPUTS, threads=3)
    options = engine._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.log_severity_level == 3  # errors only


def test_bytes_are_multiplied_without_overflow_on_any_processor() -> None:
    # Its effect can be seen only on x86 without VNNI instructions.
    options = open_model(model(), "onnx", FLOAT32, OUTPUTS)._session.get_session_options()
    assert options.get_session_config_entry("session.x64quantprecision") == "1"
