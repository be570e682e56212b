import numpy as np

from cxr_edge_convert.artifacts.drawings import DRAWN, drawings
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec


def test_drawings_are_always_the_same_and_none_is_like_another() -> None:
    prepare = Preprocessor(PreprocessSpec(64, 64))
    one, other = drawings(prepare), drawings(prepare)
    np.testing.assert_array_equal(one.inputs, other.inputs)
    assert one.inputs.shape[1:] == (64, 64, 1)
    assert one.inputs.dtype == np.uint8
    assert len(np.unique(one.inputs.reshape(len(one.inputs), -1), axis=0)) == len(one.inputs)


def test_each_kind_has_as_many_and_says_that_it_was_drawn() -> None:
    made = drawings(Preprocessor(PreprocessSpec(64, 64)))
    kinds, counts = np.unique(made.categories, return_counts=True)
    assert len(kinds) >= 8
    assert len(set(counts)) == 1
    assert all(kind.startswith(DRAWN) for kind in kinds)
    assert len(made.objections) == len(made.inputs)


def test_no_drawing_is_flat() -> None:
    for image in drawings(Preprocessor(PreprocessSpec(64, 64))).inputs:
        assert int(image.max()) - int(image.min()) > 20
