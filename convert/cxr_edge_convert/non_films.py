"""Things that are no frontal chest X-rays, to set the input gate's limit with and to measure it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageError, InvalidRequest
from cxr_edge_runtime.gate import objections
from cxr_edge_runtime.images import SUFFIXES, read_grey
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess


@dataclass(frozen=True, slots=True)
class NonFilms:
    """Many of them.

    Attributes:
        inputs: ``[N, H, W, 1] uint8``.
        objections: what the files themselves show, see :func:`cxr_edge_runtime.gate.objections`.
        categories: the folder that each lies in.
        fitting: ``[N]``, whether it helps to set the limit; the others measure it.
    """

    inputs: NDArray[np.uint8]
    objections: Sequence[tuple[str, ...]]
    categories: Sequence[str]
    fitting: NDArray[np.bool_]

    def half(self, *, fitting: bool) -> "NonFilms":
        """Those that set the limit, or those that measure it."""
        chosen = np.flatnonzero(self.fitting == fitting).tolist()
        return NonFilms(
            self.inputs[chosen],
            [self.objections[i] for i in chosen],
            [self.categories[i] for i in chosen],
            self.fitting[chosen],
        )


def read_non_films(folder: Path, spec: PreprocessSpec) -> NonFilms:
    """Read the images below a folder; those that ``classify`` could not read either are left out.

    The last bit of a file's SHA-256 decides whether it sets the limit or measures it.

    Args:
        folder: with images, best in a folder for each category.
        spec: from grey pixels to input.

    Raises:
        InvalidRequest: no such folder, or none of its images sets the limit.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"{folder}: no such folder")
    inputs, found, categories, fitting = [], [], [], []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            image = read_grey(path)
        except ImageError:
            continue
        inputs.append(preprocess(image.pixels, spec)[0])
        found.append(objections(image))
        categories.append(path.relative_to(folder).parent.as_posix())
        fitting.append(hashlib.sha256(path.read_bytes()).digest()[-1] % 2 == 0)
    if not any(fitting):
        raise InvalidRequest(f"{folder}: too few readable images to set a limit with")
    return NonFilms(np.stack(inputs), found, categories, np.array(fitting))
