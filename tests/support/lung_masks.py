"""Masks of the lung locator, drawn cell by cell."""

import numpy as np
from numpy.typing import NDArray

SURE = 20.0
LEFT, RIGHT = (6, 8, 14, 24), (18, 8, 26, 24)


def mask(*lungs: tuple[int, int, int, int], logit: float = SURE) -> NDArray[np.float32]:
    """Logits of 32 x 32 cells; left, top, right and bottom of each lung in cells."""
    cells = np.full((32, 32), -logit, np.float32)
    for left, top, right, bottom in lungs:
        cells[top:bottom, left:right] = logit
    return cells
