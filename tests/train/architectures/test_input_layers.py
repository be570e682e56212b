from collections.abc import Callable

import keras
import numpy as np
import pytest

from cxr_edge_train.architectures.input_layers import (
    centred_bgr,
    scaled_to_unit,
    standardised_rgb,
    unit_grey,
)

GREY = np.linspace(0, 255, 16, dtype=np.float32).reshape(1, 4, 4, 1)


@pytest.mark.parametrize(
    ("ours", "family"),
    [
        (scaled_to_unit, keras.applications.mobilenet),
        (scaled_to_unit, keras.applications.mobilenet_v2),
        (centred_bgr, keras.applications.vgg16),
        (standardised_rgb, keras.applications.densenet),
    ],
)
def test_scaling_is_that_of_the_family(
    ours: Callable[[keras.KerasTensor], keras.KerasTensor], family: object
) -> None:
    image = keras.Input((4, 4, 1))
    scaled = np.asarray(keras.Model(image, ours(image))(GREY))
    theirs = family.preprocess_input(np.repeat(GREY, 3, axis=-1))  # type: ignore[attr-defined]
    np.testing.assert_allclose(scaled, theirs, atol=1e-4)


def test_unit_grey_keeps_one_channel() -> None:
    image = keras.Input((4, 4, 1))
    scaled = np.asarray(keras.Model(image, unit_grey(image))(GREY))
    assert scaled.shape == (1, 4, 4, 1)
    assert scaled.min() == pytest.approx(-1)
    assert scaled.max() == pytest.approx(1)
