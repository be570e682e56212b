import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from cxr_edge_train.statistics.ranking import Ranking

# Few different probabilities, so that there are ties.
IMAGES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=40
).filter(lambda images: len({label for _, label, weight in images if weight}) == 2)


@given(IMAGES)
def test_areas_are_those_of_scikit_learn(images: list[tuple[int, int, int]]) -> None:
    levels, labels, weights = map(np.array, zip(*images))
    auc, average_precision = Ranking(levels / 6, labels).areas(weights)
    assert auc == pytest.approx(roc_auc_score(labels, levels, sample_weight=weights))
    assert average_precision == pytest.approx(
        average_precision_score(labels, levels, sample_weight=weights)
    )


def test_one_label_alone_has_no_area() -> None:
    ranking = Ranking(np.array([0.2, 0.8]), np.array([0, 1]))
    assert np.isnan(ranking.areas(np.array([2, 0]))).all()
    assert np.isnan(ranking.areas(np.array([0, 2]))).all()
