import numpy as np
import pytest

from scripts import load_script

behaviour = load_script("benchmarks/model_behaviour.py")


def test_share_in_the_box_counts_only_what_speaks_for_the_answer() -> None:
    left, top, right, bottom = behaviour.LUNGS
    inside = np.zeros((100, 100), dtype=np.float32)
    inside[40:60, 40:60] = 1.0
    assert behaviour.share_in_lungs(inside) == 1.0
    assert behaviour.share_in_lungs(-inside) == 0.0
    corner = np.zeros_like(inside)
    corner[:5, :5] = 1.0
    assert behaviour.share_in_lungs(corner) == 0.0
    even = behaviour.share_in_lungs(np.ones((5, 5), dtype=np.float32))
    assert even == pytest.approx((right - left) * (bottom - top), abs=0.02)


@pytest.mark.parametrize("name", list(behaviour.CHANGES))
def test_changes_keep_size_and_change_something(name: str) -> None:
    film = np.random.default_rng(0).integers(1, 255, (80, 80), dtype=np.uint8)
    changed = behaviour.CHANGES[name](film)
    assert changed.shape == film.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, film)


def test_right_and_wrong_decisions_are_shown() -> None:
    wrong = np.arange(100) % 5 == 0
    probability = np.linspace(0, 1, 100)
    rows = behaviour.shown_rows(wrong, probability)
    assert len(rows) == 2 * behaviour.SHOWN
    assert not wrong[rows[: behaviour.SHOWN]].any()
    assert wrong[rows[behaviour.SHOWN :]].all()
    # The furthest from undecided come first.
    assert {rows[behaviour.SHOWN], rows[behaviour.SHOWN + 1]} == {0, 95}


def test_picture_holds_no_film() -> None:
    assert set(np.unique(behaviour.box_alone(160))) == {0, 255}
