"""Changes of a validation film in places where no pneumonia is; model_behaviour.py makes them."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# Left, top, right and bottom of the box that holds the lungs of nearly every film of this set. It
# holds heart and spine as well.
LUNGS = (0.08, 0.10, 0.92, 0.82)
# What is blacked out along the borders stays outside the box; corners reach into it.
_CORNER, _BORDER, _STRETCH, _QUALITY = 0.2, 0.08, 1.25, 50


def as_jpeg(film: Pixels) -> Pixels:
    """Store a film as JPEG, so that all films have one quality."""
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(buffer))


def stretched(film: Pixels) -> Pixels:
    """Make a film a quarter wider; a tenth is cut off at each side."""
    height, width = film.shape
    cut = width * (1 - 1 / _STRETCH) / 2
    box = (cut, 0, width - cut, height)
    return np.asarray(
        Image.fromarray(film).resize((width, height), Image.Resampling.BICUBIC, box=box)
    )


def without_corners(film: Pixels) -> Pixels:
    """Black out a fifth of each side at every corner, where markers and times stand."""
    height, width = (int(_CORNER * side) for side in film.shape)
    changed = film.copy()
    for rows in (np.s_[:height], np.s_[-height:]):
        for columns in (np.s_[:width], np.s_[-width:]):
            changed[rows, columns] = 0
    return changed


def without_borders(film: Pixels) -> Pixels:
    """Black out every border, outside of :data:`LUNGS`."""
    height, width = (int(_BORDER * side) for side in film.shape)
    changed = np.zeros_like(film)
    changed[height:-height, width:-width] = film[height:-height, width:-width]
    return changed


def inverted(film: Pixels) -> Pixels:
    """Exchange black and white."""
    return 255 - film


# What each change is called in the card, and the function from film to film, ``[H, W] uint8``.
CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    f"all as JPEG of quality {_QUALITY}": as_jpeg,
    "a quarter wider, sides cut off": stretched,
    "corners blacked out": without_corners,
    "borders blacked out": without_borders,
    "inverted": inverted,
}
