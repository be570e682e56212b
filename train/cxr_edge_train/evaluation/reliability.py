"""Does a probability of 0.8 mean that 8 in 10 have pneumonia?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# As in Guo et al. 2017.
BINS = 15


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The images whose probability falls into one bin.

    Attributes:
        low: lower edge of the bin, belonging to it.
        high: upper edge, belonging to the next bin, in the last one to this.
        n: images in the bin, at least one.
        positives: PNEUMONIA among them.
        mean_probability: of PNEUMONIA, over the images.
    """

    low: float
    high: float
    n: int
    positives: int
    mean_probability: float


def bin_numbers(probabilities: NDArray[np.floating]) -> NDArray[np.intp]:
    """The bin ``[N]``, 0 to ``BINS - 1``, of each probability ``[N]``."""
    return np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)


def reliability_bins(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> list[ReliabilityBin]:
    """The bins that hold images, in order.

    Args:
        probabilities: ``[N]`` of PNEUMONIA.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
    """
    numbers = bin_numbers(probabilities)
    return [
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            n=int(inside.sum()),
            positives=int(labels[inside].sum()),
            mean_probability=float(probabilities[inside].mean()),
        )
        for number in range(BINS)
        if (inside := numbers == number).any()
    ]


def expected_calibration_error(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    weights: NDArray[np.int64],
) -> float:
    """Mean distance of probability and observed share, over :data:`BINS` bins of equal width.

    ``sum over bins of n_bin / n * |mean probability - share of PNEUMONIA|`` (Naeini et al. 2015;
    Guo et al. 2017), with the probability of PNEUMONIA, not of the label that was given. It is
    never negative, so small sets and resampled ones show more of it than there is.

    Args:
        probabilities: ``[N]`` of PNEUMONIA.
        labels: ``[N]`` of 1 (PNEUMONIA) and 0.
        weights: ``[N]``, how often each image counts.
    """
    excess = weights * (probabilities - labels)
    by_bin = np.bincount(bin_numbers(probabilities), weights=excess, minlength=BINS)
    return float(np.abs(by_bin).sum() / weights.sum())
