"""Style transfer between acquisition domains: the low frequencies of another film.

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

# The highest frequency that counts as low, as a share of the image's side.
_LOW_FREQUENCIES = 0.04
# Smallest and largest share of the other film's amplitudes that is mixed in.
_SHARE = (0.3, 1.0)


def transfer_style(
    film: Pixels,
    settings: Augmentation,
    random: np.random.Generator,
    other: Callable[[], Pixels],
) -> Pixels:
    """Give a film the style of another film at random.

    Args:
        film: ``[H, W] uint8``.
        settings: the probability ``spectrum``.
        random: source of all randomness except the choice of the other film.
        other: draws another film ``[H, W] uint8``.

    Returns:
        ``[H, W] uint8``.
    """
    # Nothing is drawn where the recipe leaves it out: recipes without it train as before.
    if settings.spectrum and random.random() < settings.spectrum:
        return _spectrum(film, other(), random)
    return film


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
