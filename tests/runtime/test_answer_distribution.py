from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxr_edge_runtime.answer_distribution import AnswerDistribution
from cxr_edge_runtime.arrays import pack_arrays
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import BundleInvalid
from cxr_edge_runtime.manifest import MAX_REFERENCE_BYTES

NONE = np.zeros(3, np.bool_)


def test_each_number_is_sorted_by_itself_and_rejected_films_are_only_counted() -> None:
    found = AnswerDistribution.of(
        np.array([0.9, 0.1, 0.5]), np.array([1.0, 3.0, 2.0]), np.array([False, False, True])
    )
    np.testing.assert_allclose(found.probabilities, [0.1, 0.9])
    np.testing.assert_allclose(found.distances, [1.0, 3.0])
    assert (found.films, found.rejected, found.answered) == (3, 1, 2)


def test_model_without_a_gate_has_no_distances() -> None:
    found = AnswerDistribution.of(np.array([0.2, 0.1, 0.3]), np.empty(0), NONE)
    assert found.distances.shape == (0,)
    assert len(AnswerDistribution.from_bytes(found.to_bytes()).probabilities) == 3


@given(
    arrays(np.float32, st.integers(1, 50), elements=st.floats(0, 1, width=32)), st.integers(0, 9)
)
def test_what_was_written_comes_back_the_same(values: np.ndarray, rejected: int) -> None:
    more = np.concatenate([np.zeros(len(values), np.bool_), np.ones(rejected, np.bool_)])
    padded = np.concatenate([values, np.zeros(rejected, np.float32)])
    distribution = AnswerDistribution.of(padded, padded * 40, more)
    again = AnswerDistribution.from_bytes(distribution.to_bytes())
    assert again.to_bytes() == distribution.to_bytes()
    np.testing.assert_array_equal(again.probabilities, np.sort(values))
    assert (again.films, again.rejected) == (len(more), rejected)


def test_of_many_films_quantiles_are_kept_that_fit_into_a_bundle() -> None:
    values = np.random.default_rng(0).beta(0.3, 0.3, 200_000)
    found = AnswerDistribution.of(values, values * 40, np.zeros(len(values), np.bool_))
    assert len(found.to_bytes()) < MAX_REFERENCE_BYTES
    assert found.films == 200_000
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        assert np.quantile(found.probabilities, share) == pytest.approx(
            np.quantile(values, share), abs=1e-3
        )


@pytest.mark.parametrize(
    "changed",
    [
        {"probabilities": np.array([0.9, 0.1], np.float32)},
        {"probabilities": np.array([0.1, 1.1], np.float32)},
        {"probabilities": np.array([-0.1, 0.1], np.float32)},
        {"probabilities": np.empty(0, np.float32)},
        {"probabilities": np.zeros((2, 2), np.float32)},
        {"distances": np.array([2, 1], np.float32)},
        {"films": np.zeros(2, np.uint32)},
        {"rejected": np.array(9, np.uint32)},
    ],
)
def test_values_that_are_no_distribution_are_refused(changed: dict[str, np.ndarray]) -> None:
    good = {
        "probabilities": np.array([0.1, 0.9], np.float32),
        "distances": np.array([1, 2], np.float32),
        "films": np.array(2, np.uint32),
        "rejected": np.array(0, np.uint32),
    }
    AnswerDistribution.from_bytes(pack_arrays(good))
    with pytest.raises(BundleInvalid, match=r"reference\.npz: no reference"):
        AnswerDistribution.from_bytes(pack_arrays(good | changed))


def test_bundle_without_a_reference_says_what_to_do(golden_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match="has no reference .* convert the model again"):
        AnswerDistribution.of_bundle(Bundle.load(golden_bundle))
