"""Every architecture becomes TFLite and ONNX, in float32 and in INT8."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import calibrated
from cxr_edge_convert.formats.models import (
    biases,
    float32_model,
    int8_model,
    probe_of,
    with_biases,
)
from cxr_edge_convert.variants import ONNX, Scheme, wanted_schemes
from cxr_edge_runtime.bundle.manifest import OUTPUTS, InputEntry
from cxr_edge_runtime.engines import open_model
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.backend.devices import compute_in_float32
from cxr_edge_train.recipe import Model

SIDE = 32
PIXELS = calibrated.PIXELS[:20]
SCHEMES = wanted_schemes(formats=["tflite", "onnx"], quantizations=["int8"], target="x86")


def random_model(architecture: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        alpha = 0.35 if ARCHITECTURES[architecture].has_width else 1.0
        return build(architecture, Model(image_size=SIDE, alpha=alpha), weights=None)


def outputs(content: bytes, scheme: Scheme) -> dict[str, np.ndarray]:
    entry = InputEntry.of_contract(scheme.format, scheme.quantization, PreprocessSpec(SIDE, SIDE))
    run = open_model(content, scheme.format, entry, OUTPUTS).run
    answers = [run(image[np.newaxis]) for image in PIXELS]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in OUTPUTS}


def check(model: keras.Model) -> None:
    expected = {
        name: np.asarray(value)
        for name, value in model.predict_on_batch({"image": PIXELS.astype(np.float32)}).items()
    }
    for scheme in SCHEMES:
        float32 = float32_model(model, scheme.format)
        content, tolerance = float32, 1e-3
        if scheme.quantization == "int8":
            probe = probe_of(float32, scheme.format)
            ranges = calibrated.ranges_over(probe, PIXELS)
            # They stay as they are, but every bias becomes one of its own.
            shown, axis = probe(PIXELS[:1]), 1 if scheme.format == ONNX else -1
            same = {
                operator.name: np.zeros(shown[operator.name].shape[axis], np.float32)
                for operator in probe.operators
                if operator.takes_bias
            }
            same |= biases(float32, scheme.format)
            content = int8_model(with_biases(float32, scheme.format, same), scheme, ranges)
            # In INT8, too, each operator is found whose bias is to be exchanged.
            for name, values in same.items():
                other = with_biases(content, scheme.format, {name: values + 1})
                assert other != with_biases(content, scheme.format, {name: values}), name
            # A network of random weights adds rounding up through all its layers.
            tolerance = 0.25
            if len(float32) > 1_000_000:  # in a tiny one names weigh more than weights
                assert len(content) < (0.45 if scheme.format == ONNX else 0.42) * len(float32)
        found = outputs(content, scheme)
        for name in OUTPUTS:
            spread = max(1e-3, float(np.abs(expected[name]).max()))
            difference = float(np.abs(found[name] - expected[name]).max())
            assert difference < tolerance * spread, (scheme.name, name, difference, spread)


_QUICK = ("pure_cnn",)


@pytest.mark.parametrize(
    "architecture",
    [
        name if name in _QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in ARCHITECTURES
    ],
)
def test_architecture_is_converted(architecture: str) -> None:
    check(random_model(architecture))


_SAVE = """
import sys
import keras
import small_fit

model = small_fit.tiny_model()
pixels, labels = small_fit.films()
model.compile("adam", {"logit": keras.losses.BinaryCrossentropy(from_logits=True)})
model.train_on_batch({"image": pixels.astype("float32")}, {"logit": labels[:, None] * 1.0})
model.save(sys.argv[1])
print(keras.backend.backend())
"""


@pytest.mark.slow
def test_model_trained_on_another_backend_is_converted(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SAVE, str(tmp_path / "model.keras")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "jax\n", done.stderr
    check(keras.models.load_model(tmp_path / "model.keras", compile=False))


@pytest.mark.slow
def test_model_trained_in_mixed_precision_is_converted() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = random_model("mobilenetv2")
    finally:
        keras.config.set_dtype_policy("float32")
    compute_in_float32(model)
    check(model)
