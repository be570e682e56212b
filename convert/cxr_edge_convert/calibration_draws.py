"""The images that calibrate a conversion, with pixels; none of them may verify it too."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.calibration import (
    calibration_digest,
    copies_of,
    draw_calibration_images,
    images_of_folder,
)
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Draw:
    """Calibration images, in the order they are used.

    Attributes:
        digest: see :func:`cxr_edge_convert.calibration.calibration_digest`.
        pixels: ``[N, H, W, 1] uint8``.
    """

    digest: str
    pixels: NDArray[np.uint8]


def calibration_draws(source: Source, folder: Path | None, *, count: int, seed: int) -> list[Draw]:
    """The calibration images and, where there are enough, as many others.

    Args:
        source: whose training images are drawn from, and whose validation images are kept out.
        folder: with images to draw from in the place of the training images.
        count: how many to draw.
        seed: of the draw.

    Raises:
        InvalidRequest: too few images, or some that show validation images.
        DatasetError: an image changed since it was cleaned.
    """
    candidates, images = source.train, source.images
    if folder is not None:
        candidates, images = images_of_folder(folder), replace(images, root=folder)
        known = set(source.validation.table["md5"])
        twice = candidates.loc[candidates["md5"].isin(known), "path"]
        if len(twice):
            raise _leaking(folder, twice)
    tables = draw_calibration_images(candidates, count=count, seed=seed)
    draws = [Draw(calibration_digest(table), images.pixels(table)) for table in tables]
    if folder is not None:
        for table, draw in zip(tables, draws):
            copies = copies_of(draw.pixels, source.validation_pixels)
            if len(copies):
                raise _leaking(folder, table["path"].iloc[copies])
    return draws


def _leaking(folder: Path, paths: pd.Series) -> InvalidRequest:
    return InvalidRequest(
        f"{folder}: {paths.iloc[0]} and {len(paths) - 1} more show validation images; what "
        "calibrates must not verify, so take them out"
    )
