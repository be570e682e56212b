import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxr_edge_convert.formats.graph import Activations
from cxr_edge_convert.quantization.ranges import activation_ranges, covering
from cxr_edge_train.recipe import Calibration

MIN_MAX = Calibration("min-max")
VALUES = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-6)


def probe(image: NDArray[np.uint8]) -> Activations:
    """A tensor that scales and one that looks at the film, with a rare huge value."""
    greys = image.astype(np.float32)
    deep = np.where(greys == 255, 100.0, (greys - 100) / 50).astype(np.float32)
    return {"image": greys, "deep": deep}


PIXELS = np.random.default_rng(0).integers(40, 200, (10, 32, 32, 1)).astype(np.uint8)
PIXELS[3, 0, 0, 0] = 255


def ranges(pixels: NDArray[np.uint8] = PIXELS, method: Calibration = MIN_MAX) -> dict[str, tuple]:
    return activation_ranges(probe, pixels, scaling={"image"}, calibration=method)


def test_no_value_of_any_image_lies_outside() -> None:
    low, high = ranges()["deep"]
    values = np.concatenate([probe(image)["deep"].ravel() for image in PIXELS])
    assert low <= values.min()
    assert high >= values.max() == 100


@pytest.mark.parametrize("method", [MIN_MAX, Calibration("percentile", 99.0)])
def test_order_of_images_changes_nothing(method: Calibration) -> None:
    assert ranges(PIXELS[::-1], method) == ranges(PIXELS, method)


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9, 100.0])
def test_no_tensor_saturates_more_than_the_percentile_says(percentile: float) -> None:
    low, high = ranges(method=Calibration("percentile", percentile))["deep"]
    values = np.concatenate([probe(image)["deep"].ravel() for image in PIXELS])
    outside = ((values < low) | (values > high)).mean() * 100
    assert outside <= 100 - percentile + 1e-9


def test_percentile_cuts_off_what_is_rare() -> None:
    assert ranges(method=Calibration("percentile", 99.9))["deep"][1] < 5
    assert ranges()["deep"][1] >= 100


@pytest.mark.parametrize("method", [MIN_MAX, Calibration("percentile", 95.0)])
def test_film_need_not_have_black_and_white_for_the_input(method: Calibration) -> None:
    assert ranges(method=method)["image"] == (0.0, 255.0)


def test_scaling_that_looks_at_the_whole_film_may_go_beyond_the_ramp() -> None:
    def normalising(image: NDArray[np.uint8]) -> Activations:
        greys = image.astype(np.float32)
        return {"image": greys, "norm": (greys - greys.mean()) / greys.std()}

    found = activation_ranges(normalising, PIXELS, scaling={"image", "norm"}, calibration=MIN_MAX)
    assert found["image"] == (0.0, 255.0)
    for image in PIXELS:
        values = normalising(image)["norm"]
        assert found["norm"][0] <= values.min()
        assert found["norm"][1] >= values.max()


@given(VALUES, VALUES)
def test_covering_holds_both_ends_and_zero_with_an_integer_zero_point(
    one: float, other: float
) -> None:
    low, high = covering(min(one, other), max(one, other))
    slack = 1e-9 * max(abs(low), abs(high))
    assert low <= min(one, other, 0) + slack
    assert high >= max(one, other, 0) - slack
    if high > low:
        steps = -low / ((high - low) / 255)
        assert steps == pytest.approx(round(steps), abs=1e-6)


@given(VALUES, VALUES)
def test_covering_is_no_wider_than_a_step_needs(one: float, other: float) -> None:
    low, high = min(one, other, 0.0), max(one, other, 0.0)
    wide_low, wide_high = covering(low, high)
    assert wide_high - wide_low <= (high - low) * (1 + 1 / 127) + 1e-9


def test_tensor_of_zeros_stays_as_it_is() -> None:
    def dead(image: NDArray[np.uint8]) -> Activations:
        return {"dead": np.zeros(image.shape, np.float32)}

    for method in (MIN_MAX, Calibration("percentile", 99.0)):
        found = activation_ranges(dead, PIXELS, scaling=(), calibration=method)
        assert found == {"dead": (0.0, 0.0)}
