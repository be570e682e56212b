"""Drift, measured by comparing two distributions of the probability and of the gate distance."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, ks_2samp, kstwobign

from cxr_edge_runtime.arguments import check_number
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions

# Tenths of the reference, as is usual since Lewis (1994, An Introduction to Credit Scoring).
_BINS = 10
# Of a count: an empty bin has no logarithm.
_SMOOTHING = 0.5
# Of fewer, ten films would make a tenth.
MIN_FILMS = 100
# By chance alone the PSI of n and m films is chi-squared with 9 degrees of freedom times
# (1/n + 1/m) (Yurdakul and Naranjo 2020, Statistical properties of the population stability
# index): with 200 films against 980 beyond 0.25 once in 100,000 times, against 192, all that the
# shipped models' validation has without the finding, 4 times in 1,000. With 100 against 192 it is 6
# times in 100, so that below this many films a value must also exceed what chance rarely gives.
_MANY_FILMS = 200
_RARELY = 0.001


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """Above any of these, drift is reported.

    Attributes:
        psi: population stability index of a number; 0.25 is Lewis' "major shift".
        ks: Kolmogorov-Smirnov distance of a number, 0 to 1.
        rejected: share of the films that the gate rejects, 0 to 1. Of training films made to look
            different it rejects 3 in 100.
    """

    psi: float = 0.25
    ks: float = 0.2
    rejected: float = 0.05

    def __post_init__(self) -> None:
        """Refuse NaN, which nothing would exceed.

        Raises:
            InvalidRequest: a limit is no number, or out of range.
        """
        check_number(self.psi, "psi")
        check_number(self.ks, "ks", maximum=1)
        check_number(self.rejected, "rejected", maximum=1)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the distribution of a number is from its reference.

    Attributes:
        psi: population stability index, 0 or more.
        ks: Kolmogorov-Smirnov distance, 0 to 1.
    """

    psi: float
    ks: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a model's predictions are from a reference.

    Attributes:
        films: how many films the log has.
        answered: how many of them the gate did not reject; these are compared.
        reference_films: how many films the reference stands for.
        probability: shift of the probability; None with fewer than :data:`MIN_FILMS` answered
            films.
        distance: shift of the gate distance; None there and where log or reference has none.
        rejected: share of the films that the gate rejected.
        reference_rejected: the same of the reference.
        missed: the limits that were exceeded, each as text.
        within_chance: the limits that were exceeded by no more than chance gives with so few films,
            each as text; they do not count.
    """

    films: int
    answered: int
    reference_films: int
    probability: Shift | None
    distance: Shift | None
    rejected: float
    reference_rejected: float
    missed: tuple[str, ...]
    within_chance: tuple[str, ...] = ()


def fitting_share(verified: VerifiedPredictions, predictions: PredictionDistribution) -> float:
    """The share of positive films, in hundredths, that explains the probabilities best.

    Wherever a model goes, findings are more or less common than where it was verified. That is no
    drift of films or model, so the verified predictions of both labels are mixed until the
    Kolmogorov-Smirnov distance is smallest.
    """
    return min(
        (step / 100 for step in range(101)),
        key=lambda share: _ks(verified.mixed(share).probabilities, predictions.probabilities),
    )


def find_drift(
    reference: PredictionDistribution, predictions: PredictionDistribution, limits: DriftLimits
) -> Drift:
    """Compare predictions with a reference.

    Args:
        reference: what they are compared with.
        predictions: those of a log; fewer than :data:`MIN_FILMS` answered films are not compared.
        limits: above which drift is reported.
    """
    probability = distance = None
    if predictions.answered >= MIN_FILMS:
        probability = _shift(
            reference.probabilities, predictions.probabilities, reference, predictions
        )
        if len(reference.distances) and len(predictions.distances):
            distance = _shift(reference.distances, predictions.distances, reference, predictions)
    missed: list[str] = []
    within_chance: list[str] = []
    psi_by_chance, ks_by_chance = _by_chance(reference.answered, predictions.answered)
    for name, shift in (("probability", probability), ("gate distance", distance)):
        if shift is None:
            continue
        for measure, value, limit, by_chance in (
            ("PSI", shift.psi, limits.psi, psi_by_chance),
            ("KS", shift.ks, limits.ks, ks_by_chance),
        ):
            if value > limit:
                found = within_chance if value <= by_chance else missed
                number, most = _told_apart(value, limit, "f", digits=3)
                found.append(f"{name}: {measure} {number} exceeds {most}")
    rejected = predictions.rejected / predictions.films
    if rejected > limits.rejected:
        number, most = _told_apart(rejected, limits.rejected, "%", digits=1)
        missed.append(f"rejected: {number} of the films, limit {most}")
    return Drift(
        films=predictions.films,
        answered=predictions.answered,
        reference_films=reference.films,
        probability=probability,
        distance=distance,
        rejected=rejected,
        reference_rejected=reference.rejected / reference.films,
        missed=tuple(missed),
        within_chance=tuple(within_chance),
    )


def population_stability_index(
    reference: NDArray[np.floating],
    values: NDArray[np.floating],
    *,
    reference_films: int,
    films: int,
) -> float:
    """``sum((p - q) * ln(p / q))`` over tenths of the reference, each count with a half added.

    Args:
        reference: ``[M]`` rising, the values or evenly spaced quantiles of them.
        values: ``[N]`` rising, the same.
        reference_films: how many films the reference stands for.
        films: how many the values stand for.
    """
    inner = np.unique(np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1]))

    def shares(sample: NDArray[np.floating], count: int) -> NDArray[np.float64]:
        bins = np.bincount(np.searchsorted(inner, sample, side="right"), minlength=len(inner) + 1)
        counts = bins * (count / len(sample)) + _SMOOTHING
        found: NDArray[np.float64] = counts / counts.sum()
        return found

    was, is_now = shares(reference, reference_films), shares(values, films)
    return float(((is_now - was) * np.log(is_now / was)).sum())


def _shift(
    before: NDArray[np.float32],
    now: NDArray[np.float32],
    reference: PredictionDistribution,
    predictions: PredictionDistribution,
) -> Shift:
    return Shift(
        population_stability_index(
            before, now, reference_films=reference.answered, films=predictions.answered
        ),
        _ks(before, now),
    )


def _ks(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    # The distance alone: with thousands of films every difference is significant.
    return float(ks_2samp(before, now, method="asymp").statistic)


def _by_chance(before: int, now: int) -> tuple[float, float]:
    """What PSI and KS of like films exceed rarely; 0 where there are films enough."""
    if min(before, now) >= _MANY_FILMS or not now:
        return 0.0, 0.0
    scale = 1 / before + 1 / now
    return (
        float(chi2.isf(_RARELY, _BINS - 1)) * scale,
        float(kstwobign.isf(_RARELY)) * math.sqrt(scale),
    )


def _told_apart(value: float, limit: float, form: str, *, digits: int) -> tuple[str, str]:
    """A value and the limit that it exceeds, with as many digits as show that it does."""
    while f"{value:.{digits}{form}}" == f"{limit:.{digits}{form}}":
        digits += 1
    most = f"{limit:.{digits}{form}}"
    return f"{value:.{digits}{form}}", most if form == "%" else most.rstrip("0").rstrip(".")
