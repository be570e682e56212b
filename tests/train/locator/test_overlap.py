import numpy as np
import pytest

from cxr_edge_runtime.preprocess import WHOLE_FILM, Box
from cxr_edge_train.locator.overlap import dice, loss_on_mask, share_inside, true_box


def test_dice_is_twice_the_shared_cells_by_all_and_1_of_two_empty_masks() -> None:
    one, other = np.zeros((2, 3, 4, 4), dtype=bool)
    one[0, :2], other[0, 1:3] = True, True
    one[1] = True
    assert dice(one, other).tolist() == [0.5, 0.0, 1.0]


def test_loss_is_least_where_the_mask_is_the_outline() -> None:
    outline = np.zeros((1, 32, 32, 1), np.float32)
    outline[:, 8:24, 8:24] = 1
    logits = [20 * outline - 10, np.full_like(outline, -10), 10 - 20 * outline]
    right, none, wrong = (float(loss_on_mask(outline, mask)) for mask in logits)
    assert right == pytest.approx(0, abs=1e-3)
    assert right < none < wrong


def test_box_holds_the_mask_and_a_smaller_one_less() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[20:60, 50:150] = 255
    box = true_box(mask)
    assert box == Box(0.25, 0.2, 0.75, 0.6)
    assert share_inside(mask, box) == share_inside(mask, WHOLE_FILM) == 1.0
    assert share_inside(mask, Box(0.25, 0.2, 0.75, 0.4)) == 0.5
    assert share_inside(mask, Box(0.0, 0.7, 1.0, 1.0)) == 0.0
