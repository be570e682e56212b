import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_edge_runtime.lungs import content_of, lungs_of
from cxr_edge_runtime.preprocess import WHOLE_FILM, Box
from lung_masks import LEFT, RIGHT, SURE, mask

# Of a cell in a box's side: rounding to a step of 1024 moves it by no more.
STEP = 32 / 1024
LITTLE = "lungs fill little of the image: crop it to one film"


def box_in_cells(cells: NDArray[np.float32]) -> tuple[float, ...]:
    found = lungs_of(cells)
    assert found is not None
    return found.box.in_pixels(32, 32)


def test_box_holds_both_lungs_and_begins_between_cells() -> None:
    # A column of 16 cells reaches one cell a sixteenth of the way from the empty one's centre.
    left, top, right, bottom = box_in_cells(mask(LEFT, RIGHT))
    assert (left, right) == pytest.approx((5.5 + 1 / 16, 26.5 - 1 / 16), abs=STEP)
    assert (top, bottom) == pytest.approx((7.5 + 1 / 16, 24.5 - 1 / 16), abs=STEP)


def test_box_moves_little_where_a_logit_changes_little() -> None:
    cells = mask(LEFT, RIGHT)
    before = np.array(box_in_cells(cells))
    for logit in (-0.01, 0.01):  # a cell of the next column, just under and over the threshold
        cells[10, 5] = logit
        assert np.abs(np.array(box_in_cells(cells)) - before).max() < 0.1


def test_sides_are_rounded_outwards_to_steps_that_hide_the_last_digits() -> None:
    cells = np.random.default_rng(0).normal(0, 0.3, (32, 32)).astype(np.float32) + mask(
        LEFT, RIGHT, logit=2.0
    )
    sides = np.array(box_in_cells(cells)) * 1024 / 32
    assert (sides == np.round(sides)).all()
    other = (cells * np.float32(1 + 1e-6)).astype(np.float32)
    assert not np.array_equal(other, cells)
    assert box_in_cells(other) == box_in_cells(cells)


def test_specks_are_dropped_and_a_small_second_lung_is_kept() -> None:
    whole = box_in_cells(mask(LEFT, RIGHT))
    assert box_in_cells(mask(LEFT, RIGHT, (0, 0, 4, 5), (29, 29, 32, 32))) == whole
    # A lung of a fifth of the other's cells.
    assert box_in_cells(mask((6, 8, 14, 23), (20, 8, 23, 16)))[2] == pytest.approx(23.5, abs=0.2)


def test_cells_that_touch_at_a_corner_are_two_groups() -> None:
    cells = mask((6, 8, 14, 24))
    cells[7, 14] = SURE  # beside no cell of the lung
    assert box_in_cells(cells) == box_in_cells(mask((6, 8, 14, 24)))


def test_one_lung_is_a_box_of_its_own() -> None:
    left, _, right, _ = box_in_cells(mask(LEFT))
    assert (left, right) == pytest.approx((5.5, 14.5), abs=0.1)


def test_two_films_side_by_side_are_one_box_of_all_lungs() -> None:
    four = mask(*((left, 10, left + 4, 22) for left in (2, 9, 18, 25)))
    left, _, right, _ = box_in_cells(four)
    assert (left, right) == pytest.approx((1.5, 29.5), abs=0.1)


@pytest.mark.parametrize(
    ("lungs", "doubts"),
    [
        ((LEFT, RIGHT), ()),
        ((LEFT, RIGHT, (0, 0, 3, 3)), ()),  # a speck is none
        ((LEFT,), ("only one lung found", LITTLE)),
        (
            (LEFT, RIGHT, (28, 8, 32, 24)),
            ("more than two lungs found: does the image show more than one film?",
             "lungs cut off at the right edge of the film"),
        ),
    ],
)  # fmt: skip
def test_lungs_are_counted(
    lungs: tuple[tuple[int, int, int, int], ...], doubts: tuple[str, ...]
) -> None:
    found = lungs_of(mask(*lungs))
    assert found is not None
    assert found.doubts == doubts


@pytest.mark.parametrize(
    "cells",
    [
        mask(),
        np.zeros((32, 32), np.float32),
        mask((10, 10, 14, 15)),  # 20 cells
        np.where(np.indices((32, 32)).sum(0) % 2, SURE, -SURE).astype(np.float32),
        mask((0, 10, 32, 11)),  # as wide as the film and one cell high
        mask((10, 0, 11, 32)),
    ],
    ids=["none", "undecided", "too few", "a checkerboard", "a row", "a column"],
)
def test_too_few_cells_are_no_lungs(cells: NDArray[np.float32]) -> None:
    assert lungs_of(cells) is None


def test_least_lung_is_a_box_of_a_few_cells() -> None:
    left, top, right, bottom = box_in_cells(mask((10, 10, 15, 15)))
    assert (right - left, bottom - top) == pytest.approx((5.6, 5.6), abs=0.1)


@pytest.mark.parametrize(
    ("lungs", "cut_off"),
    [
        ((LEFT, RIGHT), ()),
        (((0, 8, 10, 24), RIGHT), ("left",)),
        (((6, 0, 14, 20), (18, 0, 26, 20)), ("top",)),
        ((LEFT, (18, 8, 32, 24)), ("right",)),
        (((6, 12, 14, 32), (18, 12, 26, 32)), ("bottom",)),
        (((0, 0, 32, 32),), ("left", "top", "right", "bottom")),
        (((0, 8, 10, 15), RIGHT), ()),  # seven cells at the edge
    ],
)
def test_sides_that_cut_the_lungs_off_are_named(
    lungs: tuple[tuple[int, int, int, int], ...], cut_off: tuple[str, ...]
) -> None:
    found = lungs_of(mask(*lungs))
    assert found is not None
    assert found.cut_off == cut_off


def test_box_of_cut_off_lungs_ends_at_the_edge_of_the_film() -> None:
    found = lungs_of(mask((0, 0, 32, 32)))
    assert found is not None
    assert found.box == WHOLE_FILM
    assert found.box.widened(1.4) == WHOLE_FILM


@pytest.mark.parametrize("logit", [1e4, 3e38])
def test_extreme_logits_are_sure_cells(logit: float) -> None:
    with np.errstate(all="raise"):
        assert box_in_cells(mask(LEFT, RIGHT, logit=logit)) == box_in_cells(
            mask(LEFT, RIGHT, logit=30.0)
        )


def spiral() -> NDArray[np.float32]:
    """A line of cells that turns inwards, as long as can be."""
    line, (row, column), (down, right) = np.zeros((36, 36), bool), (2, 2), (0, 1)
    line[row, column] = True
    while True:
        for _ in range(2):
            after, next_but_one = ((row + n * down, column + n * right) for n in (1, 2))
            inside = all(2 <= place < 34 for place in after)
            if inside and not line[after] and not line[next_but_one]:
                break
            down, right = right, -down
        else:
            return np.where(line[2:34, 2:34], SURE, -SURE).astype(np.float32)
        row, column = after
        line[row, column] = True


def test_line_that_winds_through_the_whole_mask_takes_few_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds: list[bool] = []
    equal = np.array_equal
    monkeypatch.setattr(np, "array_equal", lambda *x: rounds.append(equal(*x)) or rounds[-1])
    for cells in (spiral(), spiral().T, spiral()[::-1]):
        rounds.clear()
        found = lungs_of(cells)
        assert len(rounds) < 100  # each 0.02 ms; its 540 cells one by one would take 500
        assert found is not None
        assert found.box == WHOLE_FILM  # it is one group, of which every cell counts


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_flat_margins_are_no_content(grey: int) -> None:
    film = np.random.default_rng(0).integers(60, 200, (60, 80), dtype=np.uint8)
    framed = np.pad(film, ((20, 0), (0, 20)), constant_values=grey)
    assert content_of(framed) == Box(0.0, 0.25, 0.8, 1.0)
    assert content_of(film) == WHOLE_FILM
    assert content_of(np.full((9, 9), grey, np.uint8)) == WHOLE_FILM


def test_lungs_are_cut_off_at_the_edge_of_the_film_inside_a_margin() -> None:
    cells = mask((6, 8, 14, 20), (18, 8, 26, 20))
    for top, cut_off in ((0.25, ("top",)), (0.23, ("top",)), (0.1, ()), (0.0, ())):
        found = lungs_of(cells, Box(0.0, top, 1.0, 1.0))
        assert found is not None
        assert found.cut_off == cut_off
    found = lungs_of(cells, Box(6 / 32, 0.0, 26 / 32, 20 / 32))
    assert found is not None
    assert found.cut_off == ("left", "right", "bottom")


def test_lungs_that_fill_little_of_the_film_are_a_doubt_but_not_in_a_margin() -> None:
    small = mask((8, 10, 12, 20), (14, 10, 18, 20))
    found = lungs_of(small)
    assert found is not None
    assert found.share == pytest.approx(10 / 32, abs=0.03)
    assert found.doubts == (LITTLE,)
    cropped = lungs_of(small, Box(0.15, 0.2, 0.65, 0.75))
    assert cropped is not None
    assert cropped.doubts == ()
