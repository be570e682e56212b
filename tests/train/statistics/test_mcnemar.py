import numpy as np
import pytest

from cxr_edge_train.statistics.mcnemar import exact_mcnemar


def pair(both: int, first: int, second: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.array([True] * (both + first) + [False] * second)
    other = np.array([True] * both + [False] * first + [True] * second)
    return one, other


def test_models_that_are_right_on_different_images_differ_by_how_many_each_gets_right() -> None:
    truth = np.array([1] * 20 + [0] * 20, dtype=bool)
    one, other = truth.copy(), truth.copy()
    one[:8], one[20:28] = False, True  # wrong on eight images of each label
    # Their decisions differ on as many images in one direction as in the other, and still the
    # second model is the better one.
    assert exact_mcnemar(one == truth, other == truth) == pytest.approx(2 * 0.5**16)
    assert exact_mcnemar(one, other) == 1.0


def test_models_that_never_differ() -> None:
    assert exact_mcnemar(*pair(50, 0, 0)) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "p"),
    # Twice the tail of the binomial distribution: 2 * 2^-6, and 2 * (1 + 10) / 2^10.
    [(6, 0, 2 / 64), (9, 1, 22 / 1024), (5, 5, 1.0)],
)
def test_p_value_is_that_of_fair_coins(first: int, second: int, p: float) -> None:
    assert exact_mcnemar(*pair(100, first, second)) == pytest.approx(p)
    assert exact_mcnemar(*pair(3, second, first)) == pytest.approx(p)
