import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from cxr_edge_convert.tflite import Ranges, tensor_ranges, to_float32, to_int8
from cxr_edge_runtime.engines.litert import LiteRtEngine
from cxr_edge_runtime.manifest import InputEntry
from synthetic import noisy_gradient
from tiny_model import tiny_model

PIXELS = np.stack([noisy_gradient((32, 32), seed) for seed in range(40)])[..., np.newaxis]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def float32(model: keras.Model) -> bytes:
    return to_float32(model)


@pytest.fixture(scope="module")
def ranges(float32: bytes) -> Ranges:
    return tensor_ranges(float32, PIXELS)


@pytest.fixture(scope="module")
def int8(float32: bytes, ranges: Ranges) -> bytes:
    return to_int8(float32, ranges)


def tensors(model: bytes) -> dict[str, dict[str, object]]:
    interpreter = Interpreter(model_content=model)
    return {details["name"]: details for details in interpreter.get_tensor_details()}


def representable(details: dict[str, object]) -> tuple[float, float]:
    scale, zero_point = details["quantization"]
    return (-128 - zero_point) * scale, (127 - zero_point) * scale


def test_float32_equals_keras(model: keras.Model, float32: bytes) -> None:
    engine = LiteRtEngine(float32, InputEntry((1, 32, 32, 1), "float32", 1.0, 0))
    for image in PIXELS[:10]:
        ours = engine.run(image[np.newaxis])
        theirs = model.predict_on_batch({"image": image[np.newaxis].astype(np.float32)})
        for name in ("cam", "logit", "embedding"):
            np.testing.assert_allclose(ours[name], np.asarray(theirs[name]), atol=1e-5)


def test_int8_input_has_scale_1_and_zero_point_minus_128(int8: bytes) -> None:
    interpreter = Interpreter(model_content=int8)
    details = interpreter.get_input_details()[0]
    assert details["dtype"] is np.int8
    assert details["quantization"] == (1.0, -128)


def test_tensors_of_the_rescaling_do_not_saturate(int8: bytes) -> None:
    found = {
        name: representable(details)
        for name, details in tensors(int8).items()
        if ("/rescaling" in name or "/grey_to_rgb" in name)
        and details["dtype"] is np.int8
        and len(details["shape"]) == 4
    }
    wanted = {"mul": (0, 2), "add": (-1, 1), "concat": (-1, 1)}
    assert {name.rsplit("/")[-1] for name in found} == set(wanted)
    for name, (low, high) in found.items():
        needed_low, needed_high = wanted[name.rsplit("/")[-1]]
        assert low <= needed_low + 1e-6
        assert high >= needed_high - 1e-6
        assert high - low < 2.02


def test_the_film_need_not_have_black_and_white_for_that(float32: bytes) -> None:
    grey = np.clip(PIXELS, 60, 180)
    found = tensor_ranges(float32, grey)
    image = next(limits for name, limits in found.items() if "image" in name)
    assert (float(image["min"].min()), float(image["max"].max())) == (0.0, 255.0)


def test_ranges_hold_every_value_of_every_image(float32: bytes, ranges: Ranges) -> None:
    singles = [tensor_ranges(float32, PIXELS[index : index + 1]) for index in range(0, 40, 8)]
    for single in singles:
        for name, limits in single.items():
            # Each single range was widened to its own grid, by at most a step of 255.
            slack = float((limits["max"] - limits["min"]).max()) / 127
            assert float(ranges[name]["min"].min()) <= float(limits["min"].min()) + slack
            assert float(ranges[name]["max"].max()) >= float(limits["max"].max()) - slack


def test_order_of_images_changes_nothing(float32: bytes, ranges: Ranges, int8: bytes) -> None:
    backwards = tensor_ranges(float32, PIXELS[::-1])
    assert to_int8(float32, backwards) == int8


def test_same_model_and_images_give_the_same_bytes(
    model: keras.Model, float32: bytes, ranges: Ranges, int8: bytes
) -> None:
    assert to_float32(model) == float32
    assert to_int8(float32, ranges) == int8


def test_outputs_and_their_operators_stay_in_float(int8: bytes) -> None:
    interpreter = Interpreter(model_content=int8)
    assert {details["dtype"] for details in interpreter.get_output_details()} == {np.float32}
    logits = {
        float(
            LiteRtEngine(int8, InputEntry((1, 32, 32, 1), "int8", 1.0, -128)).run(
                image[np.newaxis]
            )["logit"][0, 0]
        )
        for image in PIXELS
    }
    assert len(logits) == len(PIXELS)


def test_weights_are_int8_per_channel(int8: bytes) -> None:
    scales = [
        len(details["quantization_parameters"]["scales"])
        for details in tensors(int8).values()
        if details["dtype"] is np.int8 and len(details["quantization_parameters"]["scales"]) > 1
    ]
    assert sorted(scales) == [8, 16]


def test_int8_logits_stay_close_to_float(float32: bytes, int8: bytes) -> None:
    engines = (
        LiteRtEngine(float32, InputEntry((1, 32, 32, 1), "float32", 1.0, 0)),
        LiteRtEngine(int8, InputEntry((1, 32, 32, 1), "int8", 1.0, -128)),
    )
    before, after = (
        np.array([engine.run(image[np.newaxis])["logit"][0, 0] for image in PIXELS])
        for engine in engines
    )
    assert np.abs(before - after).max() < 0.02
