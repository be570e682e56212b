"""Random views of a film and its mask: how films are framed elsewhere, and how they look there."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_edge_runtime.preprocess import LOCATOR_CELLS as CELLS
from cxr_edge_runtime.preprocess import LOCATOR_SIDE as SIDE
from cxr_edge_train.augmentation import augment
from cxr_edge_train.recipe import Augmentation

# The geometry is drawn here, for the film and its mask alike.
LOOKS = Augmentation(
    crop=1.0, rotation=0.0, gamma=0.7, contrast=0.4, brightness=0.15, equalize=0.2, sharpness=0.3,
    blur=0.2, resolution=0.3, noise=0.3, jpeg=0.3, marker=0.3, erase=0.2,
)  # fmt: skip
# Scale of the film's longer side in the view: from films in a wide margin to the lungs alone.
_SMALLEST, _LARGEST = 0.55, 1.6
# Largest factor between the scales of width and height, since films are squashed to a square.
_ASPECT = 1.45
_ROTATION = np.deg2rad(15.0)
# Largest shift, as a share of the view's side.
_SHIFT = 0.2
# Share of views whose margins are not black.
_BRIGHT_MARGINS = 0.15
# Share of films of which strips along the borders are covered, and the widest strip, as a share of
# the side. An outline ends there, as where a collimator cuts off a lung.
_COVERED, _WIDEST = 0.4, 0.15
# Share of views that show no upright film; they have no lungs.
_NO_FILM = 0.1
# Tiles along a side of a film whose parts were put in another order.
_TILES = 4


def random_view(
    film: NDArray[np.uint8], mask: NDArray[np.uint8], random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Show a film and its mask at random: scaled, squashed, shifted, turned, in other greys.

    Args:
        film: ``[H, W] uint8`` grey values.
        mask: ``[H, W] uint8``, 255 where the film shows lung.
        random: source of all randomness; the same state gives the same view.

    Returns:
        The view ``[128, 128] uint8``, and for each cell of it the share that is lung,
        ``[32, 32] float32``. What lies outside the film is a flat margin without lung.
    """
    matrix = _affine(film.shape, random)
    margin = int(random.integers(256)) if random.random() < _BRIGHT_MARGINS else 0
    if random.random() < _COVERED:
        kept = _uncovered(film.shape, random)
        film, mask = np.where(kept, film, np.uint8(margin)), np.where(kept, mask, np.uint8(0))
    if random.random() < _NO_FILM:
        film, mask = _no_film(film, random), np.zeros_like(mask)
    view = _transformed(film, matrix, fill=margin)
    outlined = _transformed(mask, matrix, fill=0)
    share = outlined.reshape(CELLS, SIDE // CELLS, CELLS, SIDE // CELLS).mean((1, 3)) / 255
    return augment(view, LOOKS, random), share.astype(np.float32)


def _affine(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """From view coordinates to the film's, in pixels, ``[2, 3]``."""
    scale = np.exp(random.uniform(np.log(_SMALLEST), np.log(_LARGEST)))
    squash = np.exp(random.uniform(-1, 1) * np.log(_ASPECT) / 2)
    angle = random.uniform(-1, 1) * _ROTATION
    shift = random.uniform(-_SHIFT, _SHIFT, size=2)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([[cos, sin], [-sin, cos]])
    # All but the last step in shares of a side, about the centre.
    per_side = np.diag([1 / (scale * squash), squash / scale]) @ turned
    height, width = shape
    to_pixels = np.diag([width, height])
    linear = to_pixels @ per_side / SIDE
    offset = to_pixels @ (per_side @ (-0.5 - shift) + 0.5)
    return np.column_stack([linear, offset])


def _no_film(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """What looks a little like a film and is none: turned, negative, or its parts shuffled."""
    kind = random.integers(3)
    if kind == 0:
        return np.rot90(film, int(random.integers(1, 4)))
    if kind == 1:
        return np.subtract(255, film, dtype=np.uint8)
    height, width = (side // _TILES * _TILES for side in film.shape)
    tiles = film[:height, :width].reshape(_TILES, height // _TILES, _TILES, width // _TILES)
    shuffled = random.permutation(tiles.swapaxes(1, 2).reshape(_TILES * _TILES, *tiles.shape[1::2]))
    rows = shuffled.reshape(_TILES, _TILES, *tiles.shape[1::2]).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(height, width))


def _uncovered(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.bool_]:
    """What strips along the borders leave of a film, each of them with one half."""
    height, width = shape
    widths = (random.random(4) < 0.5) * random.uniform(0, _WIDEST, size=4)
    left, top, right, bottom = (widths * (width, height, width, height)).astype(int)
    kept = np.zeros(shape, dtype=bool)
    kept[top : height - bottom, left : width - right] = True
    return kept


def _transformed(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], *, fill: int
) -> NDArray[np.uint8]:
    transformed = Image.fromarray(pixels).transform(
        (SIDE, SIDE),
        Image.Transform.AFFINE,
        tuple(matrix.ravel()),
        resample=Image.Resampling.BICUBIC,
        fillcolor=fill,
    )
    return np.asarray(transformed, dtype=np.uint8)
