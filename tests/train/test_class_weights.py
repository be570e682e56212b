import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from cxr_edge_train.class_weights import balanced_class_weights


@given(st.lists(st.integers(0, 1), min_size=1, max_size=50))
def test_equals_scikit_learn_balanced(values: list[int]) -> None:
    labels = np.array(values)
    classes = np.unique(labels)
    expected = compute_class_weight("balanced", classes=classes, y=labels)
    assert balanced_class_weights(labels) == dict(zip(classes.tolist(), expected.tolist()))
