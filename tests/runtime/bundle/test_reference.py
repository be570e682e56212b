from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.arrays import pack_arrays
from cxr_edge_runtime.bundle.manifest import MAX_BYTES, REFERENCE_FILE
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions
from cxr_edge_runtime.errors import BundleInvalid


def test_each_number_is_sorted_by_itself_and_rejected_films_are_only_counted() -> None:
    found = PredictionDistribution.of(
        np.array([0.9, 0.1, 0.5]), np.array([1.0, 3.0, 2.0]), np.array([False, False, True])
    )
    np.testing.assert_allclose(found.probabilities, [0.1, 0.9])
    np.testing.assert_allclose(found.distances, [1.0, 3.0])
    assert (found.films, found.rejected, found.answered) == (3, 1, 2)


def verified(values: np.ndarray, distances: np.ndarray | None = None) -> VerifiedPredictions:
    """The first half without the finding, the second with it."""
    nothing = np.zeros(len(values) // 2, np.bool_)
    distances = values * 40 if distances is None else distances
    parts = zip(np.split(values, 2), np.split(distances, 2))
    return VerifiedPredictions(*(PredictionDistribution.of(v, d, nothing) for v, d in parts))


def test_model_without_a_gate_has_no_distances() -> None:
    found = verified(np.array([0.2, 0.1, 0.3, 0.4]), np.empty(0))
    again = VerifiedPredictions.from_bytes(found.to_bytes())
    assert again.negative.distances.shape == again.mixed(0.5).distances.shape == (0,)
    assert len(again.positive.probabilities) == 2


@given(
    arrays(np.float32, st.integers(1, 50).map(lambda n: 2 * n), elements=st.floats(0, 1, width=32))
)
def test_what_was_written_comes_back_the_same(values: np.ndarray) -> None:
    again = VerifiedPredictions.from_bytes(verified(values).to_bytes())
    assert again.to_bytes() == verified(values).to_bytes()
    half = len(values) // 2
    np.testing.assert_array_equal(again.negative.probabilities, np.sort(values[:half]))
    np.testing.assert_array_equal(again.positive.probabilities, np.sort(values[half:]))
    assert again.share == 0.5


def test_of_many_films_quantiles_are_kept_that_fit_into_a_bundle() -> None:
    values = np.random.default_rng(0).beta(0.3, 0.3, 400_000)
    found = verified(values)
    assert len(found.to_bytes()) < MAX_BYTES[REFERENCE_FILE]
    assert found.negative.films == 200_000
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        assert np.quantile(found.negative.probabilities, share) == pytest.approx(
            np.quantile(values[:200_000], share), abs=1e-3
        )


def test_kept_quantiles_lean_to_neither_side() -> None:
    # Few films in a mixture, many in a summary: the mean would move by half a step.
    few = verified(np.array([0.0, 1.0, 0.0, 1.0])).mixed(0.5)
    assert few.probabilities.mean() == pytest.approx(0.5, abs=1e-6)
    values = np.linspace(0, 1, 20_000)
    many = verified(values)
    for part, half in zip((many.negative, many.positive), np.split(values, 2)):
        assert part.probabilities.mean() == pytest.approx(half.mean(), abs=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_mixture_has_as_many_of_both_as_asked_for(share: float) -> None:
    low = PredictionDistribution.of(np.full(300, 0.1), np.full(300, 20.0), np.arange(300) < 30)
    high = PredictionDistribution.of(np.full(700, 0.9), np.full(700, 40.0), np.arange(700) < 0)
    mixed = VerifiedPredictions(low, high).mixed(share)
    assert (mixed.probabilities > 0.5).mean() == pytest.approx(share, abs=1e-3)
    assert (mixed.distances > 30).mean() == pytest.approx(share, abs=1e-3)
    # As many as give a distribution function of the same variance.
    worth = 1 / ((1 - share) ** 2 / 300 + share**2 / 700)
    assert mixed.films == round(worth)
    assert mixed.rejected == round((1 - share) * 0.1 * mixed.films)
    assert (np.diff(mixed.probabilities) >= 0).all()


@pytest.mark.parametrize(
    "changed",
    [
        {"negative_probabilities": np.array([0.9, 0.1], np.float32)},
        {"negative_probabilities": np.array([0.1, 1.1], np.float32)},
        {"positive_probabilities": np.array([-0.1, 0.1], np.float32)},
        {"positive_probabilities": np.empty(0, np.float32)},
        {"negative_probabilities": np.zeros((2, 2), np.float32)},
        {"positive_distances": np.array([2, 1], np.float32)},
        {"negative_films": np.zeros(2, np.uint32)},
        {"positive_rejected": np.array(9, np.uint32)},
        {"positive_rejected": np.array(2, np.uint32)},  # all of them, yet there are probabilities
    ],
)
def test_values_that_are_no_distribution_are_refused(changed: dict[str, np.ndarray]) -> None:
    part = {
        "probabilities": np.array([0.1, 0.9], np.float32),
        "distances": np.array([1, 2], np.float32),
        "films": np.array(2, np.uint32),
        "rejected": np.array(0, np.uint32),
    }
    good = {f"{label}_{k}": v for label in ("negative", "positive") for k, v in part.items()}
    VerifiedPredictions.from_bytes(pack_arrays(good))
    with pytest.raises(BundleInvalid, match=r"reference\.npz: not a reference"):
        VerifiedPredictions.from_bytes(pack_arrays(good | changed))


def test_bundle_without_a_reference_says_what_to_do(golden_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match=r"has no reference .* convert the model again"):
        VerifiedPredictions.of_bundle(Bundle.load(golden_bundle))
