import keras
import numpy as np
import pytest

from cxr_edge_convert.locator import conversion
from cxr_edge_convert.locator.conversion import compare_locator, convert_locator
from cxr_edge_runtime.errors import ConversionError, LimitMissed
from cxr_edge_runtime.preprocess import locator_input
from cxr_edge_train.backend.keras_models import predict_output
from cxr_edge_train.locator.grid import snap_kernels
from cxr_edge_train.locator.network import build_locator
from locators import lung_film, small_network

INPUTS = np.concatenate([locator_input(lung_film(seed)[0]) for seed in range(10)])


@pytest.fixture(scope="module")
def small() -> tuple[bytes, np.ndarray]:
    """The small locator in TFLite, and its masks by Keras."""
    model = small_network()
    snap_kernels(model)
    return convert_locator(model, "tflite"), predict_output(model, INPUTS, "mask")[..., 0]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The whole network with random weights, whose statistics are no longer those of the start."""
    keras.utils.set_random_seed(1)
    model = build_locator(None)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (np.asarray(weight) for weight in layer.weights)
            random = np.random.default_rng(len(gamma))
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, gamma.shape),
                    random.uniform(-0.5, 0.5, beta.shape),
                    random.uniform(-0.5, 0.5, mean.shape),
                    random.uniform(0.5, 1.5, variance.shape),
                ]
            )
    snap_kernels(model)
    return model


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_int8_weights_give_the_masks_of_keras_in_few_bytes(model: keras.Model, format: str) -> None:
    converted = convert_locator(model, format)
    assert len(converted) <= conversion.MAX_BYTES
    masks = predict_output(model, INPUTS, "mask")[..., 0]
    assert masks.std() > 0.01
    check = compare_locator(converted, format, INPUTS, masks)
    assert check.largest_difference <= 1e-3
    assert (check.moved.value, check.found_changed, check.moved.n) == (0.0, 0, 10)


def test_locator_of_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "MAX_BYTES", 500)
    with pytest.raises(ConversionError, match=r"tflite locator has \d+ bytes, at most 500"):
        convert_locator(small_network(), "tflite")


def test_same_masks_pass(small: tuple[bytes, np.ndarray]) -> None:
    check = compare_locator(small[0], "tflite", INPUTS, small[1])
    assert (check.dice, check.moved.value, check.found_changed) == (1.0, 0.0, 0)
    assert check.unequal == 0


def test_boxes_that_move_by_less_than_a_cell_are_counted(small: tuple[bytes, np.ndarray]) -> None:
    converted, masks = small
    moved = masks.copy()
    moved[3:5] += 0.5
    check = compare_locator(converted, "tflite", INPUTS, moved)
    assert (check.moved.value, check.unequal) == (0.0, 2)


def test_box_that_moves_by_more_than_a_cell_is_refused(small: tuple[bytes, np.ndarray]) -> None:
    converted, masks = small
    moved = masks.copy()
    moved[3] = np.roll(moved[3], 2, axis=1)
    with pytest.raises(LimitMissed, match=r"of 10 validation films .* a cell in 1 \(limit 1%"):
        compare_locator(converted, "tflite", INPUTS, moved)


def test_lungs_that_only_one_of_them_finds_are_refused(small: tuple[bytes, np.ndarray]) -> None:
    converted, masks = small
    none = masks.copy()
    none[3] = -10
    with pytest.raises(LimitMissed, match=r"only one of the two found lungs in 1 \(limit 0\)"):
        compare_locator(converted, "tflite", INPUTS, none)
