"""Things that are no frontal chest X-rays, to measure the input gate with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageError, InvalidRequest
from cxr_edge_runtime.gate import objections
from cxr_edge_runtime.images import SUFFIXES, load_grey
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess


@dataclass(frozen=True, slots=True)
class OutOfDistributionImages:
    """Many of them.

    Attributes:
        inputs: ``[N, H, W, 1] uint8``.
        objections: what the files themselves show, see :func:`cxr_edge_runtime.gate.objections`.
        categories: the folder that each lies in.
    """

    inputs: NDArray[np.uint8]
    objections: Sequence[tuple[str, ...]]
    categories: Sequence[str]


def read_out_of_distribution(folder: Path, spec: PreprocessSpec) -> OutOfDistributionImages:
    """Read the images below a folder; those that ``classify`` could not read either are left out.

    Args:
        folder: with images, best in a folder for each category.
        spec: from grey pixels to input.

    Raises:
        InvalidRequest: no such folder, or it holds no readable image.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder}: no such folder")
    inputs, found, categories = [], [], []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            image = load_grey(path)
        except ImageError:
            continue
        inputs.append(preprocess(image.pixels, spec)[0])
        found.append(objections(image))
        categories.append(path.relative_to(folder).parent.as_posix())
    if not inputs:
        raise InvalidRequest(f"{folder}: no readable image to measure the input gate with")
    return OutOfDistributionImages(np.stack(inputs), found, categories)
