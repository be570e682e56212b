"""Images that are not frontal chest X-rays, which measure the input gate."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageError, InvalidRequest
from cxr_edge_runtime.gate import objections
from cxr_edge_runtime.images import SUFFIXES, load_grey
from cxr_edge_runtime.locator import NO_LUNGS, Preprocessor


@dataclass(frozen=True, slots=True)
class OutOfDistributionImages:
    """Images that are not frontal chest X-rays.

    Attributes:
        inputs: ``[N, H, W, 1] uint8``.
        objections: what speaks against each file, see :func:`cxr_edge_runtime.gate.objections`, and
            what the lung locator says of it.
        categories: the folder that each image lies in.
        unreadable: how many more files could not be decoded.
    """

    inputs: NDArray[np.uint8]
    objections: Sequence[tuple[str, ...]]
    categories: Sequence[str]
    unreadable: int = 0

    @property
    def without_lungs(self) -> int:
        """In how many the lung locator finds no lungs."""
        return sum(NO_LUNGS in found for found in self.objections)


def read_out_of_distribution(folder: Path, prepare: Preprocessor) -> OutOfDistributionImages:
    """Read the images below a folder; those that cannot be decoded are only counted.

    Args:
        folder: a folder with images, best with a folder for each category.
        prepare: from a film to model input.

    Raises:
        InvalidRequest: there is no such folder, or it holds no readable image.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder}: no such folder")
    inputs, found, categories = [], [], []
    unreadable = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            image = load_grey(path, least_side=prepare.least_side)
        except ImageError:
            unreadable += 1
            continue
        prepared = prepare(image.pixels)
        inputs.append(prepared.model_input[0])
        found.append((*objections(image), *prepared.objections))
        categories.append(path.relative_to(folder).parent.as_posix())
    if not inputs:
        raise InvalidRequest(f"{folder}: no readable image to measure the input gate with")
    return OutOfDistributionImages(np.stack(inputs), found, categories, unreadable)
