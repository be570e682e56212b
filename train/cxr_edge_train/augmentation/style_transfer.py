"""The look of another film: its greys, its coarsest waves, its margins.

Where most films of a label come from one device, a network learns the device: its tones, its
collimation, the letters it burns in. So a film now and then takes on the look of another one, drawn
from either label with the same chance; its lungs stay its own.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.recipe import Augmentation

Pixels = NDArray[np.uint8]

# Share of the image's side: of the finest wave that counts as coarse, and of a margin.
_COARSE, _MARGIN = 0.04, 0.16
# Share of the other film's tone or waves that is mixed in, from and to.
_SHARE = (0.3, 1.0)


def transfer_style(
    film: Pixels,
    settings: Augmentation,
    random: np.random.Generator,
    other: Callable[[], Pixels],
) -> Pixels:
    """Give a film the look of others at random.

    Args:
        film: ``[H, W] uint8``.
        settings: the probabilities ``tone``, ``spectrum`` and ``frame``.
        random: source of all randomness but the choice of the other films.
        other: draws a film ``[H, W] uint8``.

    Returns:
        ``[H, W] uint8``.
    """
    for probability, take in (
        (settings.tone, _tone),
        (settings.spectrum, _spectrum),
        (settings.frame, _frame),
    ):
        # Nothing is drawn for what the recipe leaves out: recipes without it train as before.
        if probability and random.random() < probability:
            film = take(film, other(), random)
    return film


def _tone(film: Pixels, other: Pixels, random: np.random.Generator) -> Pixels:
    """The other's histogram, matched."""
    wanted = np.interp(_ranks(film), _ranks(other), np.arange(256))
    share = random.uniform(*_SHARE)
    curve = np.round((1 - share) * np.arange(256) + share * wanted).astype(np.uint8)
    return curve[film]


def _ranks(film: Pixels) -> NDArray[np.float64]:
    """The share of pixels at or below each grey, strictly rising."""
    counts = np.bincount(film.ravel(), minlength=256) + 1e-3
    ranks: NDArray[np.float64] = np.cumsum(counts) / counts.sum()
    return ranks


def _spectrum(film: Pixels, other: Pixels, random: np.random.Generator) -> Pixels:
    """The amplitudes of the other's coarsest waves, its own phases (Yang and Soatto 2020)."""
    most = int(random.integers(1, max(2, round(_COARSE * film.shape[0]))))
    return with_waves(film, other, most=most, share=random.uniform(*_SHARE))


def with_waves(film: Pixels, other: Pixels, *, most: int, share: float) -> Pixels:
    """Mix the other's amplitudes into those of a film, its phases staying as they are.

    Args:
        film: ``[H, W] uint8``.
        other: the same.
        most: how many of the coarsest waves along each side, the mean being the first.
        share: of the other's amplitudes, 0 to 1.

    Returns:
        ``[H, W] uint8``.
    """
    waves, others = np.fft.rfft2(film), np.fft.rfft2(other)
    amplitude = np.abs(waves)
    # Rows of rfft2 are the frequencies 0, 1, 2, ... and from the end -1, -2, ...; columns 0, 1, 2,
    # ... alone. A frequency and its negative change together, else the image would not be real.
    coarse = np.ix_(np.r_[:most, 1 - most : 0], np.arange(most))
    amplitude[coarse] = (1 - share) * amplitude[coarse] + share * np.abs(others[coarse])
    mixed = np.fft.irfft2(amplitude * np.exp(1j * np.angle(waves)), s=film.shape)
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)


def _frame(film: Pixels, other: Pixels, random: np.random.Generator) -> Pixels:
    """The other's margins, with its markers and its collimation."""
    height, width = film.shape
    left, top, right, bottom = random.uniform(0, _MARGIN, size=4)
    inner = np.s_[
        int(top * height) : height - int(bottom * height),
        int(left * width) : width - int(right * width),
    ]
    framed = other.copy()
    framed[inner] = film[inner]
    return framed
