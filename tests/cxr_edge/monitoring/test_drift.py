import math

import numpy as np
import pytest

from cxr_edge.monitoring.drift import (
    MIN_FILMS,
    DriftLimits,
    find_drift,
    fitting_share,
    population_stability_index,
)
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions

VALIDATION = 980


def films(
    random: np.random.Generator, count: int, *, moved: float = 0.0, rejected: int = 0
) -> PredictionDistribution:
    """Targets like those of a model, most near 0 or 1; ``moved`` shifts both numbers."""
    logits = random.normal(0, 3, count) + moved
    distances = random.normal(30, 5, count) + 5 * moved
    refused = np.zeros(count, np.bool_)
    refused[:rejected] = True
    return PredictionDistribution.of(1 / (1 + np.exp(-logits)), distances, refused)


def test_index_is_that_of_its_formula() -> None:
    # Tenths of 100 films each; of 50 films 41 lie in the first and one in each other. A half is
    # added to every count.
    reference = np.arange(1000) / 1000
    values = np.array([0.05] * 41 + [tenth / 10 + 0.05 for tenth in range(1, 10)])
    p, first, other = 100.5 / 1005, 41.5 / 55, 1.5 / 55
    expected = (first - p) * math.log(first / p) + 9 * (other - p) * math.log(other / p)
    found = population_stability_index(reference, values, reference_films=1000, films=50)
    assert found == pytest.approx(expected)


def test_same_answers_are_no_drift() -> None:
    answers = films(np.random.default_rng(0), 500)
    found = find_drift(answers, answers, DriftLimits())
    assert found.missed == ()
    assert found.probability.psi == found.probability.ks == 0
    assert found.distance is not None
    assert found.distance.psi == found.distance.ks == 0


def test_chance_alone_passes_no_limit_even_with_the_fewest_films() -> None:
    random = np.random.default_rng(0)
    missed = [
        find_drift(films(random, VALIDATION), films(random, MIN_FILMS), DriftLimits()).missed
        for _ in range(300)
    ]
    assert not any(missed)


def test_two_logs_of_the_fewest_films_pass_a_limit_by_chance_in_fewer_than_3_in_100() -> None:
    random = np.random.default_rng(0)
    missed = [
        find_drift(films(random, MIN_FILMS), films(random, MIN_FILMS), DriftLimits()).missed
        for _ in range(300)
    ]
    assert sum(map(bool, missed)) < 9


def test_share_just_above_its_limit_is_shown_with_digits_that_tell_them_apart() -> None:
    random = np.random.default_rng(0)
    log = films(random, 10_000, rejected=501)
    found = find_drift(films(random, VALIDATION), log, DriftLimits(psi=1, ks=1))
    assert found.missed == ("rejected: 5.01% of the films, limit 5.00%",)


def test_moved_answers_are_drift_and_each_limit_is_named() -> None:
    random = np.random.default_rng(0)
    found = find_drift(films(random, VALIDATION), films(random, 500, moved=2), DriftLimits())
    words = " ".join(found.missed)
    for name in ("probability: PSI", "probability: KS", "gate distance: PSI", "gate distance: KS"):
        assert name in words
    assert not find_drift(
        films(random, VALIDATION), films(random, 500, moved=2), DriftLimits(psi=9, ks=1)
    ).missed


def test_share_that_the_gate_rejects_has_a_limit_of_its_own() -> None:
    random = np.random.default_rng(0)
    found = find_drift(films(random, VALIDATION), films(random, 400, rejected=40), DriftLimits())
    assert found.rejected == 0.1
    assert found.missed == ("rejected: 10.0% of the films, limit 5.0%",)


def test_kolmogorov_smirnov_is_the_largest_gap_of_the_distribution_functions() -> None:
    nothing = np.zeros(400, np.bool_)
    low, high = np.repeat([0.1, 0.2, 0.3, 0.4], 100), np.repeat([0.3, 0.4, 0.5, 0.6], 100)
    found = find_drift(
        PredictionDistribution.of(low, np.empty(0), nothing),
        PredictionDistribution.of(high, np.empty(0), nothing),
        DriftLimits(),
    )
    assert found.probability.ks == 0.5
    assert found.distance is None


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_another_share_of_findings_is_fitted_and_is_no_drift(share: float) -> None:
    random = np.random.default_rng(0)

    def answers(negatives: int, positives: int) -> list[PredictionDistribution]:
        return [films(random, count, moved=moved) for count, moved in
                ((negatives, -1.5), (positives, 1.5))]  # fmt: skip

    verified = VerifiedPredictions(*answers(200, 780))
    parts = answers(round(1000 * (1 - share)), round(1000 * share))
    log = PredictionDistribution(
        *(np.sort(np.concatenate([getattr(part, name) for part in parts]))
          for name in ("probabilities", "distances")), 1000, 0,
    )  # fmt: skip
    fitted = fitting_share(verified, log)
    assert fitted == pytest.approx(share, abs=0.1)
    assert not find_drift(verified.mixed(fitted), log, DriftLimits()).missed
    # Without it a log with few findings would be.
    assert bool(find_drift(verified.mixed(0.8), log, DriftLimits()).missed) == (share < 0.8)


def test_drift_of_films_is_not_explained_away_by_a_share() -> None:
    random = np.random.default_rng(0)
    verified = VerifiedPredictions(films(random, 200, moved=-1.5), films(random, 780, moved=1.5))
    log = films(random, 500, moved=4)
    drift = find_drift(verified.mixed(fitting_share(verified, log)), log, DriftLimits())
    assert any(words.startswith("gate distance") for words in drift.missed)


def test_quantiles_of_many_films_count_as_the_films_they_stand_for() -> None:
    random = np.random.default_rng(0)
    many, few = films(random, 60_000), films(random, 2_000)
    assert len(many.probabilities) < many.films
    assert find_drift(many, few, DriftLimits()).probability.psi < 0.02
    assert find_drift(few, many, DriftLimits()).probability.psi < 0.02
