"""Style transfer between acquisition domains: grey histogram, low frequencies, margins.

An acquisition domain is the kind of device that seems to have made a film. Where most films of one
label come from one domain, a network learns the domain: its tones, its collimation, its burned-in
letters. So a film is now and then given the style of another film, drawn from either label with the
same chance; its lungs stay its own.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.recipe import Augmentation

Pixels = NDArray[np.uint8]

# Shares of the image's side: the highest frequency that counts as low, and the widest margin.
_LOW_FREQUENCIES, _MARGIN = 0.04, 0.16
# Smallest and largest share of the other film's histogram or amplitudes that is mixed in.
_SHARE = (0.3, 1.0)


def transfer_style(
    film: Pixels,
    settings: Augmentation,
    random: np.random.Generator,
    other: Callable[[], Pixels],
) -> Pixels:
    """Give a film the style of other films at random.

    Args:
        film: ``[H, W] uint8``.
        settings: the probabilities ``tone``, ``spectrum`` and ``frame``.
        random: source of all randomness except the choice of the other films.
        other: draws another film ``[H, W] uint8``.

    Returns:
        ``[H, W] uint8``.
    """
    for probability, transfer in (
        (settings.tone, _tone),
        (settings.spectrum, _spectrum),
        (settings.frame, _frame),
    ):
        # Nothing is drawn for what the recipe leaves out: recipes without it train as before.
        if probability and random.random() < probability:
            film = transfer(film, other(), random)
    return film


def _tone(film: Pixels, other: Pixels, random: np.random.Generator) -> Pixels:
    """Match the grey histogram to the other film's."""
    wanted = np.interp(_ranks(film), _ranks(other), np.arange(256))
    share = random.uniform(*_SHARE)
    curve = np.round((1 - share) * np.arange(256) + share * wanted).astype(np.uint8)
    return curve[film]


def _ranks(film: Pixels) -> NDArray[np.float64]:
    """The share ``[256]`` of pixels at or below each grey value, strictly rising."""
    counts = np.bincount(film.ravel(), minlength=256) + 1e-3
    ranks: NDArray[np.float64] = np.cumsum(counts) / counts.sum()
    return ranks


def _spectrum(film: Pixels, other: Pixels, random: np.random.Generator) -> Pixels:
    """Fourier domain adaptation with a random number of frequencies."""
    frequencies = int(random.integers(1, max(2, round(_LOW_FREQUENCIES * film.shape[0]))))
    share = random.uniform(*_SHARE)
    return adapt_fourier_domain(film, other, frequencies=frequencies, share=share)


def adapt_fourier_domain(film: Pixels, other: Pixels, *, frequencies: int, share: float) -> Pixels:
    """Mix the low-frequency amplitudes of another film into a film's; keep all of its phases.

    This is Fourier domain adaptation (Yang and Soatto 2020, "FDA: Fourier Domain Adaptation for
    Semantic Segmentation"), which replaces the amplitudes.

    Args:
        film: ``[H, W] uint8``.
        other: the other film, of the same shape.
        frequencies: number of low frequencies along each side; the mean is the first.
        share: share of the other film's amplitudes, 0 to 1.

    Returns:
        ``[H, W] uint8``.
    """
    spectrum, others = np.fft.rfft2(film), np.fft.rfft2(other)
    amplitude = np.abs(spectrum)
    # Rows of rfft2 are the frequencies 0, 1, 2, ... and from the end -1, -2, ...; columns 0, 1, 2,
    # ... alone. A frequency and its negative change together, else the image would not be real.
    low = np.ix_(np.r_[:frequencies, 1 - frequencies : 0], np.arange(frequencies))
    amplitude[low] = (1 - share) * amplitude[low] + share * np.abs(others[low])
    mixed = np.fft.irfft2(amplitude * np.exp(1j * np.angle(spectrum)), s=film.shape)
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)


def _frame(film: Pixels, other: Pixels, random: np.random.Generator) -> Pixels:
    """Take over the other film's margins, with its markers and its collimation."""
    height, width = film.shape
    left, top, right, bottom = random.uniform(0, _MARGIN, size=4)
    inner = np.s_[
        int(top * height) : height - int(bottom * height),
        int(left * width) : width - int(right * width),
    ]
    framed = other.copy()
    framed[inner] = film[inner]
    return framed
