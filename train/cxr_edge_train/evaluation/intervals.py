"""95% confidence intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

CONFIDENCE = 0.95
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95% confidence interval.

    Attributes:
        value: the figure.
        low: lower end.
        high: upper end.
        n: number of images the figure rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """``0.953 [0.938, 0.966]``."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson_interval(successes: int, n: int) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927); all NaN where ``n`` is 0."""
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    interval = binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / n, float(interval.low), float(interval.high), n)


def patient_bootstrap(
    statistic: Callable[[NDArray[np.intp]], float], patients: NDArray[np.object_], *, seed: int
) -> Interval:
    """Percentile bootstrap that draws patients, not images, since a patient's films are alike.

    Args:
        statistic: the figure computed from the images at the given indices.
        patients: ``[N]`` patient id of each image.
        seed: of the :data:`RESAMPLES` draws.
    """
    _, patient_of, films = np.unique(patients, return_inverse=True, return_counts=True)
    # One sort; looking for each patient's films anew takes minutes with 50,000 patients.
    images_of = np.split(np.argsort(patient_of, kind="stable"), np.cumsum(films)[:-1])
    random = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < RESAMPLES:
        drawn = random.integers(len(images_of), size=len(images_of))
        value = statistic(np.concatenate([images_of[i] for i in drawn]))
        if not np.isnan(value):  # a draw without one of the classes has no AUC; draw again
            values.append(value)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    n = len(patients)
    return Interval(float(statistic(np.arange(n))), float(low), float(high), n)
