"""Calibration: of the images with a probability of 0.8, do 80% show pneumonia?"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_train.statistics.intervals import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    patient_draws,
)

# As in Guo et al. 2017.
BINS = 15


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The images whose probability falls into one bin.

    Attributes:
        low: lower edge, which belongs to the bin.
        high: upper edge, which belongs to the next bin; that of the last bin belongs to it.
        n: number of images in the bin, at least one.
        positives: number of positive images among them.
        mean_probability: mean probability of the positive label of the images.
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
    """The bins that contain images, in order.

    Args:
        probabilities: ``[N]`` of the positive label.
        labels: ``[N]`` of 1 (positive) and 0.
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
    patients: NDArray[np.object_],
    *,
    seed: int,
) -> Interval:
    """Mean distance of probability and observed share, over :data:`BINS` bins of equal width.

    ``sum over bins of n_bin / n * |mean probability - share of positives|`` (Naeini et al. 2015;
    Guo et al. 2017), with the probability of the positive label, not of the label that was given.

    It is never negative, so noise adds to it, and a resample adds noise once more: percentiles of
    a bootstrap would lie above the truth. But it is the length, in the sum norm, of the vector of
    the bins' excesses, and by the triangle inequality lengths differ by no more than the vectors
    do. So the interval reaches as far to both sides as 95% of patient-level resamples lie from the
    measured vector: it is wider than needed, never too narrow.

    Args:
        probabilities: ``[N]`` of the positive label.
        labels: ``[N]`` of 1 (positive) and 0.
        patients: ``[N]`` patient id of each image.
        seed: seed of the resampling.
    """
    numbers = bin_numbers(probabilities)
    excess = probabilities - labels

    def by_bin(weights: NDArray[np.int64]) -> NDArray[np.float64]:
        sums = np.bincount(numbers, weights=weights * excess, minlength=BINS)
        return sums.astype(np.float64) / float(weights.sum())

    measured = by_bin(np.ones(len(labels), dtype=np.int64))
    draws = itertools.islice(patient_draws(patients, seed=seed), RESAMPLES)
    distances = [np.abs(by_bin(weights) - measured).sum() for weights in draws]
    reach = float(np.quantile(distances, CONFIDENCE))
    error = float(np.abs(measured).sum())
    return Interval(error, max(0.0, error - reach), min(1.0, error + reach), len(labels))
