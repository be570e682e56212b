"""Validation films whose lungs are outlined by people, for model_behaviour.py."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.locator import PreparedFilm
from cxr_edge_runtime.preprocess import WHOLE_FILM, Box
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.locator.masks import read_masks, with_masks
from film_changes import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Films whose lungs are outlined.

    Attributes:
        pixels: ``[N]`` films ``[H, W] uint8``.
        masks: ``[N, 224, 224] uint8``, 255 where a film shows lung.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
    """

    pixels: list[Pixels]
    masks: Pixels
    labels: NDArray[np.integer]

    @property
    def lungs(self) -> list[Box]:
        """The smallest boxes that hold the outlines."""
        return [lungs_box(mask) for mask in self.masks]


def read_films(rows: pd.DataFrame, masks: Path, root: Path) -> Films:
    """Read those of some films that have a mask."""
    found = with_masks(rows, masks)
    outlines = read_masks(found["mask"])
    found, outlines = found[outlines.any(axis=(1, 2))], outlines[outlines.any(axis=(1, 2))]
    pixels = [read_unchanged(root / path, md5) for path, md5 in zip(found["path"], found["md5"])]
    return Films(pixels, outlines, positives(found))


def lungs_box(mask: Pixels) -> Box:
    """The smallest box that holds a mask ``[H, W]``, which is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    left, right = columns[0] / width, (columns[-1] + 1) / width
    return Box(float(left), float(rows[0] / height), float(right), float((rows[-1] + 1) / height))


def shown_of(film: PreparedFilm) -> Box:
    """What the model is shown of a film."""
    return film.box or WHOLE_FILM
