import numpy as np
import pytest

import film_changes


@pytest.mark.parametrize("name", list(film_changes.CHANGES))
def test_changes_keep_size_and_change_something(name: str) -> None:
    film = np.random.default_rng(0).integers(1, 255, (80, 80), dtype=np.uint8)
    changed = film_changes.CHANGES[name](film)
    assert changed.shape == film.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, film)


def test_blacked_out_borders_leave_the_box_alone() -> None:
    film = np.full((100, 100), 255, dtype=np.uint8)
    left, top, right, bottom = (round(100 * edge) for edge in film_changes.LUNGS)
    assert film_changes.without_borders(film)[top:bottom, left:right].min() == 255
