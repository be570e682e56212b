import keras
import numpy as np
import pytest

from calibrated import PIXELS, ranges_over
from cxr_edge_convert.formats.tflite import to_float32, to_int8
from cxr_edge_convert.formats.tflite_graph import TfliteProbe
from cxr_edge_runtime.errors import ConversionError
from tiny_model import tiny_model


def test_probe_sees_int8_tensors_as_the_numbers_they_stand_for() -> None:
    float32 = to_float32(tiny_model())
    probe = TfliteProbe(float32)
    int8 = to_int8(float32, ranges_over(probe))
    before, after = probe(PIXELS[:1]), TfliteProbe(int8)(PIXELS[:1])
    assert set(before) <= set(after)
    np.testing.assert_array_equal(next(v for n, v in after.items() if "image" in n), PIXELS[:1])
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=0.1)


def test_network_whose_values_tflite_hides_is_one_clear_error() -> None:
    image = keras.Input((8, 8, 1), name="image")
    rows = keras.layers.Reshape((8, 8))(image)
    logit = keras.layers.Dense(1)(keras.layers.LSTM(4)(rows))
    model = keras.Model({"image": image}, {"logit": logit})
    probe = TfliteProbe(to_float32(model))
    with pytest.raises(ConversionError, match="INT8 cannot be calibrated; replace recurrent"):
        probe(np.zeros((1, 8, 8, 1), np.uint8))
