"""95% confidence intervals."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

# The manifest's type, so that a bundle, a run and a report write an interval alike.
from cxr_edge_runtime.bundle.manifest import Interval as Interval

CONFIDENCE = 0.95
RESAMPLES = 1000


def wilson_interval(successes: int, n: int) -> Interval:
    """A share of ``n`` images with Wilson's score interval (Wilson 1927); NaN where ``n`` is 0."""
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / n, float(interval.low), float(interval.high), n)


def wilson_interval_of_share(share: float, n: float) -> Interval:
    """A weighted share with Wilson's score interval.

    It is computed by formula, since SciPy takes whole counts only. The two agree to rounding, not
    to the last digit, so recorded values keep the one with which they were computed.

    Args:
        share: the share, 0 to 1.
        n: effective number of images, above 0 and not necessarily whole, for example Kish's.
    """
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), round(n))


def patient_draws(patients: NDArray[np.object_], *, seed: int) -> Iterator[NDArray[np.int64]]:
    """Draw bootstrap samples of patients without end.

    Args:
        patients: ``[N]`` patient id of each image.
        seed: seed of the sampling.

    Yields:
        How often each image ``[N]`` was drawn.
    """
    ids, patient_of = np.unique(patients, return_inverse=True)
    random = np.random.default_rng(seed)
    while True:
        drawn = random.integers(len(ids), size=len(ids))
        yield np.bincount(drawn, minlength=len(ids))[patient_of]


def patient_bootstrap(
    statistics: Callable[[NDArray[np.int64]], dict[str, float]],
    patients: NDArray[np.object_],
    *,
    seed: int,
) -> dict[str, Interval]:
    """Percentile bootstrap that samples patients, not images, since a patient's films are alike.

    Sampling patients gives each image a weight: how often its patient was drawn. All statistics
    come from the same :data:`RESAMPLES` samples.

    Args:
        statistics: computes values by name for images with the given weights ``[N]``; a value is
            NaN where the sample does not allow it.
        patients: ``[N]`` patient id of each image.
        seed: seed of the sampling.

    Returns:
        The value of each statistic for all images, with its interval, which is widened where
        skewed samples leave the value out.
    """
    draws: list[list[float]] = []
    for weights in patient_draws(patients, seed=seed):
        values = list(statistics(weights).values())
        if not np.isnan(values).any():  # a draw without one of the labels has no AUC; draw again
            draws.append(values)
        if len(draws) == RESAMPLES:
            break
    tail = (1 - CONFIDENCE) / 2
    lows, highs = np.quantile(draws, [tail, 1 - tail], axis=0)
    n = len(patients)
    measured = statistics(np.ones(n, dtype=np.int64))
    return {
        name: Interval(value, min(float(low), value), max(float(high), value), n)
        for (name, value), low, high in zip(measured.items(), lows, highs)
    }
