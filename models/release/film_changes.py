"""Changes of a validation film that leave its diagnosis as it is; model_behaviour.py makes them."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.preprocess import Box

Pixels = NDArray[np.uint8]

# Shares of a side: of the corners and margins that are blacked out or cut away, of those that are
# added, and of the top that is cut off.
_CORNER, _BLACK, _CUT, _ADDED, _TOP = 0.2, 0.1, 0.08, 0.15, 0.12
_STRETCH, _QUALITY = 1.25, 50
# How many times as wide and high as the lungs a film is cut to: one for all, and for normal films
# where pneumonias get margins.
_EQUAL, _TIGHT, _LOOSE = 1.2, 1.1, 0.12


def as_jpeg(film: Pixels) -> Pixels:
    """Store a film as JPEG, so that all films have one quality."""
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=_QUALITY)
    return np.asarray(Image.open(buffer))


def cut_to(film: Pixels, box: Box) -> Pixels:
    """Enlarge a box of a film to the film's size."""
    height, width = film.shape
    cut = Image.fromarray(film).resize(
        (width, height), Image.Resampling.BICUBIC, box=box.in_pixels(width, height)
    )
    return np.asarray(cut)


def without_corners(film: Pixels) -> Pixels:
    """Black out a fifth of each side at every corner, where markers and times stand."""
    height, width = (int(_CORNER * side) for side in film.shape)
    changed = film.copy()
    for rows in (np.s_[:height], np.s_[-height:]):
        for columns in (np.s_[:width], np.s_[-width:]):
            changed[rows, columns] = 0
    return changed


def without_margins(film: Pixels) -> Pixels:
    """Black out a tenth of each side along every border."""
    height, width = (int(_BLACK * side) for side in film.shape)
    changed = np.zeros_like(film)
    changed[height:-height, width:-width] = film[height:-height, width:-width]
    return changed


def with_margins(film: Pixels, share: float = _ADDED) -> Pixels:
    """Add black margins, each a share of the film's side; the film becomes larger."""
    height, width = (int(share * side) for side in film.shape)
    return np.pad(film, ((height, height), (width, width)))


def against_the_rule(film: Pixels, lungs: Box, label: int) -> Pixels:
    """Frame normal films tightly and pneumonias loosely; training films are the reverse."""
    return with_margins(film, _LOOSE) if label else cut_to(film, lungs.widened(_TIGHT))


# A change of a film ``[H, W] uint8`` with the box of its lungs and its label, 1 for pneumonia.
Change = Callable[[Pixels, Box, int], Pixels]
_SIDE_OF_STRETCH = (1 - 1 / _STRETCH) / 2

# What each change is called in the card. The first is what films are measured against.
CHANGES: dict[str, Change] = {
    "unchanged": lambda film, lungs, label: film,
    "all cut to the lungs": lambda film, lungs, label: cut_to(film, lungs.widened(_EQUAL)),
    "margins blacked out": lambda film, lungs, label: without_margins(film),
    "margins cut away": lambda film, lungs, label: cut_to(
        film, Box(_CUT, _CUT, 1 - _CUT, 1 - _CUT)
    ),
    "black margins added": lambda film, lungs, label: with_margins(film),
    "top cut off": lambda film, lungs, label: cut_to(film, Box(0, _TOP, 1, 1)),
    "normal films tight, pneumonias loose": against_the_rule,
    "a quarter wider, sides cut off": lambda film, lungs, label: cut_to(
        film, Box(_SIDE_OF_STRETCH, 0, 1 - _SIDE_OF_STRETCH, 1)
    ),
    "corners blacked out": lambda film, lungs, label: without_corners(film),
    f"as JPEG of quality {_QUALITY}": lambda film, lungs, label: as_jpeg(film),
}
