"""Lung masks: which film has one, and what it shows."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.images import load_grey
from cxr_edge_train.progress import ProgressFactory, no_progress

# Side of films and masks while the locator is trained: views of 128 pixels are cut out of them.
FILM_SIDE = 224
_LUNG = 128


def with_masks(table: pd.DataFrame, masks: Path) -> pd.DataFrame:
    """The films that have a mask, with its path in a column ``mask``.

    A mask is a PNG file below the folder that has the film's name, as ``NORMAL/IM-0115-0001.png``
    for ``IM-0115-0001.jpeg``; in which folder it lies is of no matter.

    Args:
        table: films, with a column ``path``.
        masks: the folder of the masks.

    Raises:
        DatasetError: the folder is missing, holds no mask of these films, or two masks or two
            films have one name.
    """
    if not masks.is_dir():
        raise DatasetError(f"{masks}: no such folder of masks")
    names = table["path"].map(lambda path: Path(path).stem)
    wanted = set(names)
    files = sorted(
        file for file in masks.rglob("*") if file.suffix.lower() == ".png" and file.stem in wanted
    )
    twice = [name for name, count in Counter(file.stem for file in files).items() if count > 1]
    if twice:
        raise DatasetError(f"{masks}: two masks have the name {min(twice)}.png; keep one")
    by_name = {file.stem: str(file) for file in files}
    found = table.assign(mask=names.map(by_name)).dropna(subset=["mask"])
    if found.empty:
        raise DatasetError(
            f"{masks}: no mask has the name of a film, such as {names.iloc[0]}.png; name each mask "
            "as its film"
        )
    [(name, count)] = Counter(Path(path).stem for path in found["path"]).most_common(1)
    if count > 1:
        raise DatasetError(
            f"{masks}: {count} films have the name of the mask {name}.png; rename them"
        )
    return found


def read_masks(
    paths: "pd.Series[str]", *, progress: ProgressFactory = no_progress
) -> NDArray[np.uint8]:
    """Read masks ``[N, 224, 224] uint8``: 255 where a film shows lung, else 0.

    A mask of another size is squashed to 224 pixels, as its film is.

    Args:
        paths: of the PNG files.
        progress: makes the progress bar over them.

    Raises:
        ImageError: a mask cannot be read.
    """
    masks = np.empty((len(paths), FILM_SIDE, FILM_SIDE), dtype=np.uint8)
    for index, path in enumerate(progress("reading masks")(paths, len(paths))):
        pixels = load_grey(Path(path)).pixels
        mask = Image.fromarray(np.where(pixels >= _LUNG, np.uint8(255), np.uint8(0)))
        masks[index] = np.asarray(mask.resize((FILM_SIDE, FILM_SIDE), Image.Resampling.BOX))
    return masks
