"""Drawn images that are not chest X-rays, to measure an input gate where there are no others."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.out_of_distribution import OutOfDistributionImages
from cxr_edge_runtime.locator import Preprocessor

# What the names of the categories begin with.
DRAWN = "drawing: "


def drawings(prepare: Preprocessor) -> OutOfDistributionImages:
    """Draw images that are not chest X-rays, to measure a gate where the user has none.

    Args:
        prepare: from a film to model input.

    Returns:
        :data:`_OF_EACH_KIND` images of each kind in :data:`_KINDS`, always the same.
    """
    prepared, kinds = [], []
    for kind, draw in _KINDS.items():
        for number in range(_OF_EACH_KIND):
            field = draw(np.random.default_rng(number))
            span = max(float(np.ptp(field)), np.finfo(np.float64).tiny)
            grey = np.round(255 * (field - field.min()) / span).astype(np.uint8)
            prepared.append(prepare(grey))
            kinds.append(f"{DRAWN}{kind}")
    inputs = np.concatenate([image.model_input for image in prepared])
    return OutOfDistributionImages(inputs, [image.objections for image in prepared], kinds)


def _axes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
    return rows, columns


def _noise(random: np.random.Generator) -> NDArray[np.float64]:
    return random.random((_SIDE, _SIDE))


def _clouds(random: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose amplitude falls with the frequency, as that of photographs does."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(_SIDE), np.fft.fftfreq(_SIDE)))
    frequency[0, 0] = np.inf
    spectrum = np.fft.fft2(random.normal(size=(_SIDE, _SIDE))) / frequency
    clouds: NDArray[np.float64] = np.fft.ifft2(spectrum).real
    return clouds


def _gradient(random: np.random.Generator) -> NDArray[np.float64]:
    angle = random.uniform(0, 2 * np.pi)
    rows, columns = _axes()
    ramp: NDArray[np.float64] = np.cos(angle) * rows + np.sin(angle) * columns
    return ramp


def _stripes(random: np.random.Generator) -> NDArray[np.float64]:
    waves: NDArray[np.float64] = np.sin(2 * np.pi * random.uniform(3, 30) * _gradient(random))
    return waves


def _board(random: np.random.Generator) -> NDArray[np.float64]:
    squares = random.uniform(3, 20)
    rows, columns = _axes()
    return (np.floor(rows * squares) + np.floor(columns * squares)) % 2


def _discs(random: np.random.Generator) -> NDArray[np.float64]:
    rows, columns = _axes()
    drawn = np.zeros((_SIDE, _SIDE))
    for _ in range(12):
        row, column, radius, grey = random.random(4)
        drawn[np.hypot(rows - row, columns - column) < radius / 5] = grey
    return drawn


def _page(random: np.random.Generator) -> NDArray[np.float64]:
    """Lines of dark words on white, as of a document."""
    page = np.ones((_SIDE, _SIDE))
    for top in range(20, _SIDE - 20, 12):
        column = 20
        while column < _SIDE - 40:
            width = int(random.integers(6, 30))
            page[top : top + 6, column : column + width] = random.random((6, width)) < 0.5
            column += width + 6
    return page


def _flat(random: np.random.Generator) -> NDArray[np.float64]:
    """One grey with a trace of noise, as of a covered lens."""
    return random.normal(0.5, 0.01, (_SIDE, _SIDE)).round(2)


_SIDE, _OF_EACH_KIND = 256, 4
_KINDS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "noise": _noise, "clouds": _clouds, "gradient": _gradient, "stripes": _stripes,
    "board": _board, "discs": _discs, "page": _page, "flat": _flat,
}  # fmt: skip
