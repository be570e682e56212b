import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter

import damaged_models
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import OUTPUTS, InputEntry
from cxr_edge_runtime.engines import open_engine, open_model
from cxr_edge_runtime.engines.interface import check_input, check_names, to_stored
from cxr_edge_runtime.errors import EngineError, EngineMissing, InvalidRequest

INT8 = InputEntry((1, 32, 32, 1), "int8", 1.0, -128)


@pytest.fixture
def bundle(golden_bundle: Path) -> Bundle:
    return Bundle.load(golden_bundle)


def test_outputs_come_by_name_as_floats(bundle: Bundle) -> None:
    outputs = open_engine(bundle).run(np.zeros((1, 32, 32, 1), np.uint8))
    assert set(outputs) == set(OUTPUTS)
    assert {array.dtype for array in outputs.values()} == {np.dtype(np.float32)}
    assert outputs["cam"].shape == (1, 8, 8, 1)
    assert outputs["logit"].shape == (1, 1)
    assert outputs["embedding"].shape == (1, 16)


def test_logit_is_the_mean_of_the_map(bundle: Bundle) -> None:
    image = np.arange(1024, dtype=np.uint8).reshape(1, 32, 32, 1)
    outputs = open_engine(bundle).run(image)
    assert outputs["logit"][0, 0] == pytest.approx(outputs["cam"].mean(), abs=1e-5)


def test_results_stay_when_the_next_image_runs(bundle: Bundle) -> None:
    engine = open_engine(bundle)
    first = engine.run(np.zeros((1, 32, 32, 1), np.uint8))
    kept = first["cam"].copy()
    engine.run(np.full((1, 32, 32, 1), 255, np.uint8))
    np.testing.assert_array_equal(first["cam"], kept)


def test_threads_change_nothing(bundle: Bundle) -> None:
    image = np.arange(1024, dtype=np.uint8).reshape(1, 32, 32, 1)
    one, two = (open_engine(bundle, threads=threads).run(image)["logit"] for threads in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0TFL3garbage" * 20, b"\0" * 500])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(EngineError):
        open_model(content, "tflite", INT8, OUTPUTS)


def test_truncated_model_is_refused(bundle: Bundle) -> None:
    with pytest.raises(EngineError):
        open_model(bundle.model[: len(bundle.model) // 2], "tflite", INT8, OUTPUTS)


@pytest.mark.parametrize(
    "damage",
    [
        damaged_models.unknown_tensor,
        damaged_models.many_unknown_tensors,
        damaged_models.no_signature,
        damaged_models.unset_outputs,
    ],
)
def test_whole_file_of_a_damaged_graph_is_one_line(bundle: Bundle, damage: Any) -> None:
    model = damaged_models.repacked(bundle.model, damage)
    with pytest.raises(EngineError, match=r"^ai-edge-litert cannot (load|run) the .*") as caught:
        open_model(model, "tflite", INT8, OUTPUTS).run(np.zeros(INT8.shape, np.uint8))
    assert "\n" not in str(caught.value)


def test_input_other_than_stated_is_refused(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match="the manifest states"):
        open_model(bundle.model, "tflite", InputEntry((1, 32, 32, 1), "float32", 1.0, 0), OUTPUTS)


def test_outputs_other_than_stated_are_refused(bundle: Bundle) -> None:
    other = replace(bundle, manifest=replace(bundle.manifest, outputs=("logit",)))
    with pytest.raises(EngineError, match=r"signature is .*, expected \['image'\] -> \['logit'\]"):
        open_engine(other)


def test_image_with_colours_is_an_error_of_the_engine(bundle: Bundle) -> None:
    with pytest.raises(EngineError, match=r"ai-edge-litert cannot run the model \("):
        open_engine(bundle).run(np.zeros((1, 32, 32, 3), np.uint8))


def test_missing_engine_says_what_to_install(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineMissing, match="pip install ai-edge-litert"):
        open_model(bundle.model, "tflite", INT8, OUTPUTS)
    with pytest.raises(EngineMissing, match=r"pip install -r requirements-tflite\.txt"):
        open_engine(bundle, engine="tflite-runtime")


def test_loading_prints_nothing(bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    open_engine(bundle)
    assert capfd.readouterr() == ("", "")


def test_loading_prints_nothing_even_the_first_time(golden_bundle: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom cxr_edge_runtime.bundle import Bundle\n"
        "from cxr_edge_runtime.engines import open_engine\n"
        "open_engine(Bundle.load(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, golden_bundle], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_interpreter_has_the_threads_asked_for(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = interpreter.Interpreter

    def noted(**arguments: Any) -> Any:
        made.append(arguments["num_threads"])
        return real(**arguments)

    monkeypatch.setattr(interpreter, "Interpreter", noted)
    open_engine(bundle, threads=3)
    open_engine(bundle)
    assert made == [3, 1]


@pytest.mark.parametrize(
    "found",
    [
        ((1, 32, 33, 1), "int8", 1.0, -128),
        ((1, 32, 32, 1), "uint8", 1.0, -128),
        ((1, 32, 32, 1), "int8", 0.9, -128),
        ((1, 32, 32, 1), "int8", 1.0, 0),
    ],
)
def test_input_is_compared_in_everything_that_the_manifest_states(found: Any) -> None:
    check_input((1, 32, 32, 1), "int8", 1.0, -128, INT8)
    with pytest.raises(EngineError, match="the manifest states"):
        check_input(*found, INT8)


@pytest.mark.parametrize("shape", [(1,), (1, 2), (2, 1), (1, 1, 1)])
def test_logit_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    check_names({"image"}, {"logit": ((1, 1), "float32")}, ("logit",))
    with pytest.raises(EngineError, match="the model's logit has shape"):
        check_names({"image"}, {"logit": (shape, "float32")}, ("logit",))


@pytest.mark.parametrize("shape", [(1, 4), (1, 4, 4), (2, 4, 4, 1), (1, 4, 4, 3)])
def test_activation_map_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    outputs = {"logit": ((1, 1), "float32"), "cam": (shape, "float32")}
    with pytest.raises(EngineError, match=r"the model's cam has shape .*, not \[1, h, w, 1\]"):
        check_names({"image"}, outputs, ("logit", "cam"))


@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 32, 32, 2), (1, 16, 16, 1), (2, 32, 32, 1)])
def test_lung_mask_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    check_names({"image"}, {"mask": ((1, 32, 32, 1), "float32")}, ("mask",))
    with pytest.raises(EngineError, match=r"the model's mask has shape .*, not \[1, 32, 32, 1\]"):
        check_names({"image"}, {"mask": (shape, "float32")}, ("mask",))


def test_grey_is_stored_with_the_zero_point() -> None:
    grey = np.array([0, 127, 255], np.uint8)
    assert to_stored(grey, INT8).tolist() == [-128, -1, 127]
    assert to_stored(grey, InputEntry((1,), "float32", 1.0, 0)).tolist() == [0.0, 127.0, 255.0]


def test_engine_that_nobody_knows_is_a_wrong_request(bundle: Bundle) -> None:
    with pytest.raises(
        InvalidRequest, match="unknown engine 'foo'; choose one of ai-edge-litert, tf"
    ):
        open_engine(bundle, engine="foo")
