"""Images of both labels that look like none of a data set."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_clouds(folder: Path, count: int) -> None:
    """Write ``count`` images, half of them in ``NORMAL``, half in ``PNEUMONIA``."""
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 6)).astype(np.uint8)
        path = folder / ("NORMAL" if number % 2 else "PNEUMONIA") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(path)
