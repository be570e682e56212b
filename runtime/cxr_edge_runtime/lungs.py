"""Where the lungs are in a film: from the lung locator's mask to a box, and to what is odd.

The mask says of each of 32 x 32 cells over the whole film whether it is lung. Specks are dropped,
and the box follows from how many cells of each column and row are left.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.gate import inside_flat_margins
from cxr_edge_runtime.preprocess import LOCATOR_CELLS, WHOLE_FILM, Box

# A group of cells that touch is kept if it has at least this share of the largest group's cells:
# one lung may be much smaller than the other, where it has collapsed or the film cuts it off.
_LEAST_GROUP = 0.2
# Fewer cells in all are no lungs.
LEAST_CELLS = 24
# Greys that differ by one level changed their number by at most 11.4 in 1,245 images, engines by
# 0.001. The fewest in any of 1,149 films are 59.
ONE_LEVEL = 12
# A column or row of cells belongs to the box where its cells add up to this many of lung.
_LEAST_IN_LINE = 1.0
# Lungs are cut off at a side of the film where at least this many of its 32 cells are lung.
_CUT_OFF = 8
# Share of the film's width and height that lungs fill at least. In 2,458 films of children they
# fill 0.49, in 78 of adults 0.43.
_LEAST_SHARE = 0.42
# Steps along a side of the film, to which boxes are rounded outwards: engines that differ in the
# last digit of a logit give the same box.
_STEPS = 1024


@dataclass(frozen=True, slots=True)
class Lungs:
    """Where the lungs are in a film.

    Attributes:
        box: the smallest box that holds them.
        cut_off: the sides of the film that cut them off, of ``left``, ``top``, ``right`` and
            ``bottom``.
        count: how many there are, apart from each other. Of 1,149 films as they are 1,148 have two.
        cells: how many of the mask's cells they take.
        share: the smaller one of the shares of the film's width and height that they fill.
    """

    box: Box
    cut_off: tuple[str, ...]
    count: int = 2
    cells: float = math.inf
    share: float = 1.0

    @property
    def doubts(self) -> tuple[str, ...]:
        """What makes the film suspicious, in text for the user."""
        found = [f"lungs cut off at the {side} edge of the film" for side in self.cut_off]
        if self.count == 1:
            found.insert(0, "only one lung found")
        if self.count > 2:
            found.insert(0, "more than two lungs found: does the image show more than one film?")
        if self.share < _LEAST_SHARE:
            found.append("lungs fill little of the image: crop it to one film")
        return tuple(found)


def content_of(film: NDArray[np.uint8]) -> Box:
    """The box of a picture ``[H, W]`` outside of which its margins are flat."""
    height, width = film.shape
    rows, columns = inside_flat_margins(film)
    left, right = columns.start / width, columns.stop / width
    return Box(float(left), float(rows.start / height), float(right), float(rows.stop / height))


def lungs_of(
    mask: NDArray[np.float32], content: Box = WHOLE_FILM, *, least_cells: float = LEAST_CELLS
) -> Lungs | None:
    """Find the lungs in the locator's output.

    A cell counts by how far its probability is above one half, 0 to 1, so that the box moves a
    little where logits do, and never by a cell at once. The cells of each column are added up; the
    box begins where a line through these sums first reaches 1, and ends where it does last; rows
    likewise.

    Args:
        mask: ``[32, 32] float32``, the logit that a cell is lung.
        content: the film without flat margins.
        least_cells: fewer in all are no lungs.

    Returns:
        The lungs, or None where too few cells are lung.
    """
    # 2 p - 1 of the probability p.
    groups = _large_groups(mask > 0)
    lung = np.maximum(0, np.tanh(mask.astype(np.float64) / 2)) * (groups > 0)
    columns, rows, cells = lung.sum(axis=0), lung.sum(axis=1), float(lung.sum())
    # A line one cell thin has no column, or no row, of one cell in all.
    if cells < least_cells or min(columns.max(), rows.max()) < _LEAST_IN_LINE:
        return None
    (left, right), (top, bottom) = _extent(columns), _extent(rows)
    if left >= right or top >= bottom:
        return None
    outermost = {
        "left": _at_edge(columns, content.left),
        "top": _at_edge(rows, content.top),
        "right": _at_edge(columns[::-1], 1 - content.right),
        "bottom": _at_edge(rows[::-1], 1 - content.bottom),
    }
    cut_off = tuple(side for side, count in outermost.items() if count >= _CUT_OFF)
    count = len(set(groups[groups > 0].tolist()))  # np.unique would import numpy.ma
    share = min(
        (right - left) / (content.right - content.left),
        (bottom - top) / (content.bottom - content.top),
    )
    return Lungs(Box(left, top, right, bottom), cut_off, count, cells, share)


def _at_edge(sums: NDArray[np.float64], margin: float) -> float:
    """How many cells are lung at the edge of the film behind a margin, a share of the picture.

    A cell that the margin covers in part says less than the next one.
    """
    first = min(math.floor(margin * LOCATOR_CELLS), LOCATOR_CELLS - 1)
    return float(sums[first : first + (2 if margin else 1)].max())


def _extent(sums: NDArray[np.float64]) -> tuple[float, float]:
    """Where sums ``[32]`` along a side of the film first and last reach one cell, as shares."""
    first, last = _crossing(sums), LOCATOR_CELLS - _crossing(sums[::-1])
    return (
        math.floor(first / LOCATOR_CELLS * _STEPS) / _STEPS,
        math.ceil(last / LOCATOR_CELLS * _STEPS) / _STEPS,
    )


def _crossing(sums: NDArray[np.float64]) -> float:
    """Where the line through the cells' centres first reaches the least sum, in cells."""
    index = int(np.argmax(sums >= _LEAST_IN_LINE))
    before, after = sums[index - 1] if index else 0.0, sums[index]
    return max(0.0, float(index - 0.5 + (_LEAST_IN_LINE - before) / (after - before)))


def _large_groups(lung: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The groups of cells without those that are small beside the largest, or beside any lungs.

    Returns:
        ``[32, 32]`` numbers as of :func:`_groups`, 0 where there is no lung or a speck.
    """
    groups = _groups(lung)
    sizes = np.bincount(groups.ravel())
    sizes[0] = 0  # no lung
    large: NDArray[np.bool_] = sizes >= _LEAST_GROUP * max(LEAST_CELLS, sizes.max())
    return groups * large[groups]


def _groups(lung: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each cell a number that it shares with the cells it is connected to; 0 for no lung."""
    framed = np.pad(lung, 1)
    numbers: NDArray[np.int64] = np.arange(framed.size).reshape(framed.shape) * framed
    cells = numbers[1:-1, 1:-1]
    beside = (numbers[2:, 1:-1], numbers[:-2, 1:-1], numbers[1:-1, 2:], numbers[1:-1, :-2])
    while True:
        highest = np.maximum.reduce([cells, *beside]) * lung
        # A number is the place of a cell of the same group, which has a higher one by now: so a
        # spiral takes 70 rounds, not 540.
        spread: NDArray[np.int64] = numbers.ravel()[highest]
        if np.array_equal(spread, cells):
            return spread
        cells[:] = spread
