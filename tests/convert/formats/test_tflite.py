from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from calibrated import PIXELS, ranges_over
from cxr_edge_convert.formats.graph import Ranges, blocks, output_operators
from cxr_edge_convert.formats.tflite import (
    biases,
    to_dynamic,
    to_float16,
    to_float32,
    to_int8,
    with_biases,
)
from cxr_edge_convert.formats.tflite_graph import TfliteProbe, operators
from cxr_edge_runtime.bundle.manifest import OUTPUTS, InputEntry
from cxr_edge_runtime.engines import Engine, open_model
from cxr_edge_runtime.errors import ConversionError
from cxr_edge_runtime.native_output import stderr_silenced
from tiny_model import tiny_model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return tiny_model()


@pytest.fixture(scope="module")
def float32(model: keras.Model) -> bytes:
    return to_float32(model)


def engine(model: bytes, dtype: str = "float32") -> Engine:
    entry = InputEntry((1, 32, 32, 1), dtype, 1.0, -128 if dtype == "int8" else 0)
    return open_model(model, "tflite", entry, OUTPUTS)


def logits(model: bytes, dtype: str = "float32") -> np.ndarray:
    run = engine(model, dtype).run
    return np.array([run(image[np.newaxis])["logit"][0, 0] for image in PIXELS])


@pytest.fixture(scope="module")
def ranges(float32: bytes) -> Ranges:
    return ranges_over(TfliteProbe(float32))


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
    run = engine(float32).run
    for image in PIXELS[:10]:
        ours = run(image[np.newaxis])
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


def test_order_of_images_changes_nothing(float32: bytes, ranges: Ranges, int8: bytes) -> None:
    backwards = ranges_over(TfliteProbe(float32), PIXELS[::-1])
    assert to_int8(float32, backwards) == int8


def test_same_model_and_images_give_the_same_bytes(
    model: keras.Model, float32: bytes, ranges: Ranges, int8: bytes
) -> None:
    assert to_float32(model) == float32
    assert to_int8(float32, ranges) == int8


def test_outputs_and_their_operators_stay_in_float(int8: bytes) -> None:
    interpreter = Interpreter(model_content=int8)
    assert {details["dtype"] for details in interpreter.get_output_details()} == {np.float32}
    assert len(set(logits(int8, "int8").tolist())) == len(PIXELS)


def test_weights_are_int8_per_channel(int8: bytes) -> None:
    scales = [
        len(details["quantization_parameters"]["scales"])
        for details in tensors(int8).values()
        if details["dtype"] is np.int8 and len(details["quantization_parameters"]["scales"]) > 1
    ]
    assert sorted(scales) == [8, 16]


def test_int8_logits_stay_close_to_float(float32: bytes, int8: bytes) -> None:
    assert np.abs(logits(float32) - logits(int8, "int8")).max() < 0.02


def test_float16_halves_the_weights_and_hardly_moves_the_logit(float32: bytes) -> None:
    half = to_float16(float32)
    assert half == to_float16(float32)
    weights = [t for t in tensors(half).values() if t["dtype"] is np.float16]
    assert len(weights) == 3
    assert 0 < np.abs(logits(float32) - logits(half)).max() < 0.002


def test_dynamic_has_int8_weights_and_float_activations(float32: bytes) -> None:
    dynamic = to_dynamic(float32)
    assert dynamic == to_dynamic(float32)
    int8_weights = [t for t in tensors(dynamic).values() if t["dtype"] is np.int8]
    assert len(int8_weights) >= 2
    assert not [name for name in {o.kind for o in operators(dynamic)} if "QUANT" in name]
    assert 0 < np.abs(logits(float32) - logits(dynamic)).max() < 0.02


def test_blocks_named_stay_in_float(float32: bytes, ranges: Ranges, int8: bytes) -> None:
    probe = TfliteProbe(float32)
    first, *others = blocks(probe.operators, output_operators(probe.operators, probe.outputs))
    mixed = to_int8(float32, ranges, in_float=first)
    assert tensors(int8)[first[0]]["dtype"] is np.int8
    assert tensors(mixed)[first[0]]["dtype"] is np.float32
    assert tensors(mixed)[others[0][0]]["dtype"] is np.int8
    everything = to_int8(
        float32, ranges, in_float=[name for block in [first, *others] for name in block]
    )
    error = [
        np.abs(logits(float32) - logits(model, "int8")).max() for model in (int8, mixed, everything)
    ]
    # What is left is the INT8 scaling before the first weights.
    assert error[2] < error[0]
    assert error[1] != error[0]


def test_only_built_in_operators_are_used(float32: bytes, int8: bytes) -> None:
    for model in (float32, int8, to_float16(float32), to_dynamic(float32)):
        kinds = {operator.kind for operator in operators(model)}
        assert not [kind for kind in kinds if "CUSTOM" in kind or "Flex" in kind], kinds


def less(model: bytes, change: dict[str, np.ndarray]) -> bytes:
    """The model with so much taken from the biases of some operators."""
    before = biases(model)
    return with_biases(model, {name: before.get(name, 0) - each for name, each in change.items()})


def test_biases_take_what_is_to_be_corrected(float32: bytes) -> None:
    probe = TfliteProbe(float32)
    first, _, head = [operator.name for operator in probe.operators if operator.takes_bias]
    change = np.linspace(-0.1, 0.1, 8).astype(np.float32)
    corrected = TfliteProbe(less(float32, {first: change, head: np.float32([0.5])}))
    without = TfliteProbe(less(float32, {first: change}))
    before, after, between = (p(PIXELS[:1]) for p in (probe, corrected, without))
    free = (before[first] > 0.15) & (before[first] < 5)  # ReLU6 cuts off neither
    assert free.sum() > 100
    np.testing.assert_allclose(after[first][free], (before[first] - change)[free], atol=1e-5)
    np.testing.assert_allclose(after[head], between[head] - 0.5, atol=1e-5)


def test_exchanged_in_int8_they_are_those_that_quantizing_gives(
    float32: bytes, ranges: Ranges
) -> None:
    before = biases(float32)
    names = list(before)[:2]
    new = {name: before[name] + np.linspace(-0.5, 0.5, len(before[name])) for name in names}
    exchanged = with_biases(to_int8(float32, ranges), new)
    quantized = to_int8(with_biases(float32, new), ranges)
    assert exchanged != to_int8(float32, ranges)
    # The bytes differ in their order alone.
    wanted, seen = TfliteProbe(quantized), TfliteProbe(exchanged)
    for image in PIXELS[:4, np.newaxis]:
        for name, values in wanted(image).items():
            np.testing.assert_array_equal(seen(image)[name], values)


def test_bias_too_large_for_32_bits_is_the_largest(float32: bytes, ranges: Ranges) -> None:
    int8 = to_int8(float32, ranges)
    name = next(iter(biases(float32)))
    outputs = [
        TfliteProbe(with_biases(int8, {name: np.full(8, bias, np.float32)}))(PIXELS[:1])[name]
        for bias in (-1e30, 1e30)
    ]
    assert outputs[0].max() <= 0 < outputs[1].min()


def test_operators_that_share_a_bias_are_corrected_apart() -> None:
    image = keras.Input((32, 32, 1), name="image")
    features = image
    for _ in range(3):
        # Nothing to fold, so the converter gives all three one and the same tensor of zeros.
        features = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(features)
    model = keras.Model({"image": image}, {"logit": keras.layers.Flatten()(features)})
    float32 = to_float32(model)
    probe = TfliteProbe(float32)
    first, second, third = [operator.name for operator in probe.operators if operator.takes_bias]
    shifted = TfliteProbe(less(float32, {third: np.ones(4, np.float32)}))
    before, after = probe(PIXELS[:1]), shifted(PIXELS[:1])
    for name in (first, second):
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_allclose(after[third], before[third] - 1, rtol=1e-4, atol=1e-3)


def test_transposed_convolution_has_its_bias_elsewhere() -> None:
    image = keras.Input((32, 32, 1), name="image")
    larger = keras.layers.Conv2DTranspose(4, 3, strides=2, name="larger")(image)
    logit = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(larger))
    float32 = to_float32(keras.Model({"image": image}, {"logit": logit}))
    probe = TfliteProbe(float32)
    [name] = [o.name for o in probe.operators if o.kind == "TRANSPOSE_CONV"]
    shifted = TfliteProbe(less(float32, {name: np.ones(4, np.float32)}))
    np.testing.assert_allclose(
        shifted(PIXELS[:1])[name], probe(PIXELS[:1])[name] - 1, rtol=1e-4, atol=1e-3
    )


# Steps of TensorFlow's INT8 output, in which it rounds the logit; ours stays in float.
_STEPS = 3


def test_tensorflows_own_int8_agrees(model: keras.Model, int8: bytes, tmp_path: Path) -> None:
    def images() -> Iterator[list[np.ndarray]]:
        for image in PIXELS:
            yield [image[np.newaxis].astype(np.float32)]

    logit = keras.Model(model.input, model.output["logit"])
    logit.export(
        tmp_path,
        verbose=False,
        input_signature=[
            {"image": keras.InputSpec(shape=(1, 32, 32, 1), dtype="float32", name="image")}
        ],
    )
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = images
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_output_type = tf.int8
    with stderr_silenced():
        interpreter = Interpreter(model_content=converter.convert())
        interpreter.allocate_tensors()
    [read], [write] = interpreter.get_output_details(), interpreter.get_input_details()
    step, zero = read["quantization"]
    theirs = []
    for image in PIXELS:
        interpreter.set_tensor(write["index"], image[np.newaxis].astype(np.float32))
        interpreter.invoke()
        theirs.append((float(interpreter.get_tensor(read["index"])[0, 0]) - zero) * step)
    assert np.abs(logits(int8, "int8") - theirs).max() < _STEPS * step


def test_layer_that_tflite_cannot_express_is_named() -> None:
    image = keras.Input((32, 32, 1), name="image")
    resized = keras.layers.Resizing(16, 16, interpolation="bicubic", name="shrink")(image)
    logit = keras.layers.GlobalAveragePooling2D(name="logit")(resized)
    model = keras.Model({"image": image}, {"logit": logit})
    with pytest.raises(ConversionError, match=r"ResizeBicubic in layer 'shrink'; .*ONNX instead$"):
        to_float32(model)


def test_operator_is_found_by_its_whole_name(float32: bytes, ranges: Ranges) -> None:
    # A name that another one begins with must not take that one along.
    names = [operator.name for operator in TfliteProbe(float32).operators]
    assert to_int8(float32, ranges, in_float=[names[-1][:-1]]) == to_int8(float32, ranges)


def test_failure_that_names_no_operation_is_told_in_one_line(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def convert(self) -> None:
            raise RuntimeError("first\n  second")

    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_saved_model", lambda *_, **__: Failing())
    with pytest.raises(ConversionError) as caught:
        to_float32(model)
    assert str(caught.value) == (
        "TFLite cannot express the model (first second); convert to ONNX instead"
    )
