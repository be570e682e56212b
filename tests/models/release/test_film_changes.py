import numpy as np
import pytest

import film_changes
from cxr_edge_runtime.preprocess import Box

LUNGS = Box(0.2, 0.25, 0.8, 0.75)
FILM = np.random.default_rng(0).integers(1, 255, (80, 80), dtype=np.uint8)


@pytest.mark.parametrize("name", list(film_changes.CHANGES)[1:])
@pytest.mark.parametrize("label", [0, 1])
def test_each_change_changes_something(name: str, label: int) -> None:
    before = FILM.copy()
    changed = film_changes.CHANGES[name](FILM, LUNGS, label)
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, FILM)
    np.testing.assert_array_equal(FILM, before)


def test_the_first_is_no_change() -> None:
    assert film_changes.CHANGES["unchanged"](FILM, LUNGS, 1) is FILM


def test_equal_framing_gives_the_lungs_the_same_place_in_every_film() -> None:
    for box in (LUNGS, Box(0.1, 0.3, 0.6, 0.7)):
        film = np.zeros((100, 100), np.uint8)
        left, top, right, bottom = (round(edge) for edge in box.in_pixels(100, 100))
        film[top:bottom, left:right] = 255
        changed = film_changes.CHANGES["all cut to the lungs"](film, box, 0)
        for middle in (changed[50], changed[:, 50]):
            assert np.ptp(np.flatnonzero(middle > 127)) + 1 == pytest.approx(100 / 1.2, abs=1)


def test_framing_against_the_rule_makes_lungs_of_pneumonia_smaller() -> None:
    film = np.zeros((100, 100), np.uint8)
    film[25:75, 20:80] = 255
    share = [(film_changes.against_the_rule(film, LUNGS, label) > 127).mean() for label in (0, 1)]
    assert share[0] > 0.7
    assert share[1] < 0.25
