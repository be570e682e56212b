import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.one_level import one_level, some_of
from cxr_edge_runtime.engines import Outputs
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.locator_folder import LocatorFolder

PREPARE = Preprocessor(PreprocessSpec(4, 4))


class _Mean:
    """An engine whose logit is three times the mean grey, with every film it was given."""

    name, kernels = "numpy", "none"

    def __init__(self) -> None:
        self.given: list[NDArray[np.uint8]] = []

    def run(self, image: NDArray[np.uint8]) -> Outputs:
        self.given.append(image)
        return {"logit": np.array([[3 * image.mean()]], dtype=np.float32)}


def test_largest_change_is_that_of_all_greys_by_one_level() -> None:
    films = np.full((7, 4, 4), 100, np.uint8)
    engine = _Mean()
    found = one_level(engine, None, films, PREPARE)
    assert found.logit == pytest.approx(3)
    assert (found.distance, found.films) == (None, 7)
    changes = {int(change) for image in engine.given for change in np.unique(image)}
    assert changes == {99, 100, 101}


def test_black_and_white_do_not_wrap() -> None:
    films = np.array([0, 255], np.uint8).repeat(16).reshape(2, 4, 4)
    engine = _Mean()
    assert one_level(engine, None, films, PREPARE).logit == pytest.approx(3)
    assert {int(grey) for image in engine.given for grey in np.unique(image)} == {0, 1, 254, 255}


def test_greys_are_changed_before_the_box_is_found(locator: LocatorFolder) -> None:
    # One of its fields is lung by less than one level.
    film = np.full((128, 128), 200, np.uint8)
    film[16:112, 32:64] = 50
    film[16:112, 64:96] = 120
    engine = _Mean()
    prepare = Preprocessor(PreprocessSpec.of_version(2, size=4), locator.locator())
    one_level(engine, None, [film], prepare)
    whole, lighter, darker, _ = (int(image.mean()) for image in engine.given)
    assert darker > whole + 5
    assert abs(lighter - whole) <= 1


def test_of_many_films_some_are_measured() -> None:
    films = np.zeros((980, 4, 4), np.uint8)[some_of(980)]
    assert one_level(_Mean(), None, films, PREPARE).films == 98
