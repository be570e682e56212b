"""How good a locator is on validation films, by label, and the margin that holds their lungs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import LimitMissed
from cxr_edge_runtime.lungs import lungs_of
from cxr_edge_runtime.preprocess import LOCATOR_CELLS, WHOLE_FILM, Box
from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.locator.films import OutlinedFilms
from cxr_edge_train.locator.fit import mean_dice
from cxr_edge_train.locator.overlap import share_inside, true_box
from cxr_edge_train.locator_folder import LocatorMetrics
from cxr_edge_train.statistics.intervals import wilson_interval

MARGINS = (1.1, 1.15, 1.2, 1.25, 1.3, 1.4)
# A film is covered where at least this share of its lungs is inside the box. Segmenters shrink at
# consolidations, and the margin must make up for it in this share of the pneumonias.
LEAST_INSIDE, LEAST_COVERED = 0.98, 0.99
_SIDES = ("left", "top", "right", "bottom")


def boxes_of(masks: NDArray[np.float32]) -> list[Box | None]:
    """The boxes of logits ``[N, 32, 32]``, None where no lungs are found."""
    found = map(lungs_of, masks)
    return [None if lungs is None else lungs.box for lungs in found]


def side_distances(ones: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """How far the sides of boxes lie apart, in cells of 32, ``[N, 4]``."""
    one, other = (
        np.array([[getattr(box, side) for side in _SIDES] for box in boxes])
        for boxes in (ones, others)
    )
    distances: NDArray[np.float64] = np.abs(one - other) * LOCATOR_CELLS
    return distances


def choose_margin(boxes: Sequence[Box | None], films: OutlinedFilms) -> float:
    """The smallest margin at which 99% of validation pneumonias have 98% of their lungs in the box.

    Where no lungs are found, none are in a box.

    Args:
        boxes: of the films.
        films: validation films.

    Raises:
        LimitMissed: no margin suffices.
    """
    pneumonias = positives(films.table) == 1
    for margin in MARGINS:
        share = float(_covered(boxes, films, margin)[pneumonias].mean())
        if share >= LEAST_COVERED:
            return margin
    raise LimitMissed(
        f"even at {MARGINS[-1]} times its size the box covers {LEAST_INSIDE:.0%} of the lungs in "
        f"only {share:.1%} of {pneumonias.sum()} validation pneumonias, {LEAST_COVERED:.0%} are "
        "required; train on more masks, or check the present ones"
    )


def measure(
    masks: NDArray[np.float32], films: OutlinedFilms, *, margin: float
) -> dict[str, LocatorMetrics]:
    """Measure the locator by label.

    Args:
        masks: logits ``[N, 32, 32]`` of the films.
        films: validation films.
        margin: of the box.
    """
    boxes, outlines = boxes_of(masks), films.outlines
    covered, found = _covered(boxes, films, margin), np.array([box is not None for box in boxes])
    errors = side_distances(
        [box or WHOLE_FILM for box in boxes], [true_box(mask) for mask in films.masks]
    )
    metrics = {}
    for label in class_names(films.table):
        chosen = (films.table["label"] == label).to_numpy()
        n = int(chosen.sum())
        metrics[label] = LocatorMetrics(
            dice=mean_dice(masks[chosen], outlines[chosen]),
            box_error=float(errors[chosen].mean()),
            box_error_99=float(np.quantile(errors[chosen].max(axis=1), 0.99)),
            not_found=wilson_interval(int((~found[chosen]).sum()), n),
            covered=wilson_interval(int(covered[chosen].sum()), n),
        )
    return metrics


def _covered(boxes: Sequence[Box | None], films: OutlinedFilms, margin: float) -> NDArray[np.bool_]:
    return np.array(
        [
            box is not None and share_inside(mask, box.widened(margin)) >= LEAST_INSIDE
            for box, mask in zip(boxes, films.masks)
        ]
    )
