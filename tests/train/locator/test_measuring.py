import numpy as np
import pandas as pd
import pytest

from cxr_edge_runtime.errors import LimitMissed
from cxr_edge_runtime.preprocess import Box
from cxr_edge_train.locator.films import OutlinedFilms
from cxr_edge_train.locator.measuring import boxes_of, choose_margin, measure, side_distances
from cxr_edge_train.locator.overlap import true_box

N = 20


def films(pneumonias: int = N) -> OutlinedFilms:
    """Rectangles of lung, whose sides lie between cells."""
    masks = np.zeros((N, 224, 224), np.uint8)
    masks[:, 56:168, 42:182] = 255
    labels = ["PNEUMONIA"] * pneumonias + ["NORMAL"] * (N - pneumonias)
    return OutlinedFilms(pd.DataFrame({"label": labels}), masks, 0)


def logits(outlines: np.ndarray) -> np.ndarray:
    return (20 * outlines - 10).astype(np.float32)


def test_box_of_the_lungs_themselves_needs_the_least_margin() -> None:
    found = films()
    boxes = [true_box(mask) for mask in found.masks]
    assert choose_margin(boxes, found) == 1.1


@pytest.mark.parametrize(("factor", "margin"), [(0.9, 1.1), (0.8, 1.25), (0.72, 1.4)])
def test_box_that_is_too_small_needs_a_larger_margin(factor: float, margin: float) -> None:
    found = films()
    boxes = [true_box(mask).widened(factor) for mask in found.masks]
    assert choose_margin(boxes, found) == margin


def test_margin_is_that_of_the_pneumonias() -> None:
    found = films(pneumonias=10)
    boxes = [true_box(mask) for mask in found.masks]
    boxes[10:] = [box.widened(0.5) for box in boxes[10:]]
    assert choose_margin(boxes, found) == 1.1


@pytest.mark.parametrize("missed", [None, Box(0.0, 0.0, 0.3, 0.3)])
def test_locator_that_misses_the_lungs_of_one_pneumonia_in_twenty_is_refused(
    missed: Box | None,
) -> None:
    found = films()
    boxes: list[Box | None] = [true_box(mask) for mask in found.masks]
    boxes[7] = missed
    with pytest.raises(
        LimitMissed,
        match=r"98% of the lungs in only 95\.0% of 20 validation "
        "pneumonia",
    ):
        choose_margin(boxes, found)


def test_figures_of_a_perfect_mask_and_of_one_that_finds_no_lungs_in_half_the_normals() -> None:
    found = films(pneumonias=10)
    masks = logits(found.outlines)
    masks[10:15] = -10
    metrics = measure(masks, found, margin=1.1)
    assert list(metrics) == ["NORMAL", "PNEUMONIA"]
    perfect, poor = metrics["PNEUMONIA"], metrics["NORMAL"]
    assert (perfect.dice, perfect.not_found.value, perfect.covered.value) == (1.0, 0.0, 1.0)
    # The rule of the box begins where a line has a cell of lung, half a cell outside the mask.
    assert perfect.box_error < perfect.box_error_99 < 0.6
    assert (poor.dice, poor.not_found.value, poor.covered.value) == (0.5, 0.5, 0.5)
    assert poor.not_found.n == 10
    # Where none are found it is the whole film: 8 cells at top and bottom, 6 at the sides.
    assert poor.box_error == pytest.approx((7 + perfect.box_error) / 2)
    assert poor.box_error_99 == pytest.approx(8.0)


def test_distances_are_in_cells() -> None:
    one, other = Box(0.0, 0.25, 0.5, 1.0), Box(0.125, 0.25, 0.5, 0.75)
    assert side_distances([one], [other]).tolist() == [[4.0, 0.0, 0.0, 8.0]]


def test_no_box_where_no_lungs_are() -> None:
    assert boxes_of(np.full((1, 32, 32), -10, np.float32)) == [None]
