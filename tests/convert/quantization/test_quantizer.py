import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Activations, Operator
from cxr_edge_convert.quantization import quantizer as quantizing
from cxr_edge_convert.quantization.quantizer import COMPARED, Quantizer
from cxr_edge_convert.variants import Scheme
from cxr_edge_train.recipe import Calibration

INT8 = Scheme("int8", "tflite", "int8")
PIXELS = np.random.default_rng(0).integers(20, 200, (COMPARED + 8, 16, 16, 1)).astype(np.uint8)
# What rounding shifts the two channels of each convolution by.
SHIFT = np.array([0.5, -0.25], np.float32)
# Of the first convolution; the second has none.
BIAS = np.array([0.1, 0.2], np.float32)


class Network:
    """Two convolutions of two channels, off by so much, and a head."""

    operators = (
        Operator("MUL", ("image",), ("scaled",), False),
        Operator("CONV_2D", ("scaled",), ("conv1",), True, takes_bias=True),
        Operator("CONV_2D", ("conv1",), ("conv2",), True, takes_bias=True),
        Operator("CONV_2D", ("conv2",), ("cam",), True, takes_bias=True),
    )
    outputs = ("cam",)

    def __init__(self, shifts: Mapping[str, NDArray[np.float32]] | None = None) -> None:
        self.shifts = shifts or {}

    def __call__(self, image: NDArray[np.uint8]) -> Activations:
        scaled = image.astype(np.float32) / 255
        both = np.concatenate([scaled, 1 - scaled], axis=-1)
        conv1 = both + self.shifts.get("conv1", 0)
        conv2 = conv1 + self.shifts.get("conv2", 0)
        return {"scaled": scaled, "conv1": conv1, "conv2": conv2, "cam": conv2[..., :1]}


@pytest.fixture
def quantizer(monkeypatch: pytest.MonkeyPatch) -> Quantizer:
    """Models are JSON: which bias is what, and what is in float."""

    def biases(float32: bytes, _: str) -> dict[str, NDArray[np.float32]]:
        return {"conv1": BIAS}

    def with_biases(model: bytes, _: str, new: Mapping[str, NDArray[np.float32]]) -> bytes:
        made = json.loads(model or b"{}")
        values = {name: each.tolist() for name, each in new.items()}
        if "in_float" in made:  # it is quantized
            return json.dumps(made | {"biases": made["biases"] | values}).encode()
        return json.dumps(made | values).encode()

    def int8_model(
        float32: bytes, scheme: Scheme, ranges: Any, *, in_float: Collection[str]
    ) -> bytes:
        return json.dumps({"biases": json.loads(float32), "in_float": sorted(in_float)}).encode()

    def probe_of(model: bytes, _: str, seen: Collection[str] | None = None) -> Network:
        made = json.loads(model)
        before = {"conv1": BIAS, "conv2": np.zeros(2, np.float32)}
        return Network(
            {
                name: SHIFT + np.array(made["biases"].get(name, bias), np.float32) - bias
                for name, bias in before.items()
                if name not in made["in_float"]
            }
        )

    for function in (biases, with_biases, int8_model, probe_of):
        monkeypatch.setattr(quantizing, function.__name__, function)
    return Quantizer(INT8, b"", Network())  # type: ignore[arg-type]


def test_head_is_in_no_block_that_may_stay_in_float(quantizer: Quantizer) -> None:
    assert quantizer.blocks == [("conv1",), ("conv2",)]


def test_range_of_what_only_scales_is_that_of_all_greys(quantizer: Quantizer) -> None:
    ranges = quantizer.ranges(PIXELS, Calibration("min-max"))
    assert ranges["scaled"] == pytest.approx((0, 1))
    # These images hold no grey near black, so what lies behind weights ends before.
    assert ranges["conv1"][1] == pytest.approx(1 - PIXELS.min() / 255, abs=0.01)


def test_biases_are_corrected_on_the_first_images_alone(quantizer: Quantizer) -> None:
    made = json.loads(quantizer.model({}, PIXELS))
    assert made["in_float"] == []
    assert list(made["biases"]) == ["conv1", "conv2"]
    np.testing.assert_allclose(made["biases"]["conv1"], BIAS - SHIFT, atol=1e-5)
    np.testing.assert_allclose(made["biases"]["conv2"], -SHIFT, atol=1e-5)
    assert made == json.loads(quantizer.model({}, PIXELS[:COMPARED]))


def test_operator_in_float_needs_no_correction(quantizer: Quantizer) -> None:
    made = json.loads(quantizer.model({}, PIXELS, in_float=["conv1"]))
    assert made["in_float"] == ["conv1"]
    assert list(made["biases"]) == ["conv2"]


def test_corrected_model_has_no_error_left(quantizer: Quantizer) -> None:
    corrected = quantizer.errors(quantizer.model({}, PIXELS), PIXELS)
    assert max(error.error for error in corrected) == pytest.approx(0, abs=1e-6)
    shifted = json.dumps({"biases": {}, "in_float": []}).encode()
    assert quantizer.errors(shifted, PIXELS)[-1].error > 0.1
