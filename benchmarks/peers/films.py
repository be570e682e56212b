"""From a film to the shipped network's input as a plain script does it: nothing is checked."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 160


def read_film(path: Path) -> NDArray[np.float32]:
    """``[160, 160, 1]`` grey values, 0 to 255."""
    with Image.open(path) as image:
        small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float32)[:, :, np.newaxis]


def read_films(paths: Sequence[Path], *, batch: int = 1) -> Iterator[NDArray[np.float32]]:
    """``[batch, 160, 160, 1]``, the last one perhaps shorter.

    Several films are decoded by a pool of threads, one line in any script: otherwise a peer would
    be measured by the decoder and not by itself.
    """
    if len(paths) == 1:
        yield read_film(paths[0])[np.newaxis]
        return
    with ThreadPoolExecutor() as pool:
        films = pool.map(read_film, paths)
        for start in range(0, len(paths), batch):
            yield np.stack([next(films) for _ in paths[start : start + batch]])
