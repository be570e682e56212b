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
    """A proportion with Wilson's score interval (Wilson 1927); all NaN where ``n`` is 0."""
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / n, float(interval.low), float(interval.high), n)


def wilson_interval_of_share(share: float, n: float) -> Interval:
    """Wilson's score interval of a weighted share, ``n`` being what the weights are worth.

    By formula, since scipy's takes whole counts only. The two agree to rounding, not to the last
    digit, so recorded figures keep the one they were made with.

    Args:
        share: 0 to 1.
        n: above 0, not necessarily whole, for example Kish's effective size.
    """
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half), round(n))


def patient_draws(patients: NDArray[np.object_], *, seed: int) -> Iterator[NDArray[np.int64]]:
    """Endless bootstrap samples of patients: how often each image ``[N]`` was drawn.

    Args:
        patients: ``[N]`` patient id of each image.
        seed: of the draws.
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
    """Percentile bootstrap that draws patients, not images, since a patient's films are alike.

    Drawing patients gives each image a weight: how often its patient was drawn. All figures come
    from the same :data:`RESAMPLES` draws.

    Args:
        statistics: the figures by name, of images with the given weights ``[N]``; one is NaN where
            the draw does not allow it.
        patients: ``[N]`` patient id of each image.
        seed: of the draws.
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
        name: Interval(value, float(low), float(high), n)
        for (name, value), low, high in zip(measured.items(), lows, highs)
    }
