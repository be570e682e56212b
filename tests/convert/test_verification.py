import numpy as np
import pandas as pd
import pytest

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import (
    ChangedPrediction,
    Verification,
    drop_bound,
    engine_outputs,
    verify,
)
from cxr_edge_runtime.errors import EngineError
from verified_logits import FLOAT, TABLE, N, reference


def verified(
    variant: np.ndarray, *, limits: Limits | None = None, same_computation: bool = False
) -> Verification:
    return verify(reference(), variant, limits or Limits(), same_computation=same_computation)


def flipped(*, positives: int = 0, negatives: int = 0) -> np.ndarray:
    variant = FLOAT.copy()
    variant[:positives] *= -1
    variant[N : N + negatives] *= -1
    return variant


def test_equal_logits_pass() -> None:
    result = verified(FLOAT)
    assert result.passed
    assert (result.agreement, result.recall_drop, result.auc_drop) == (1.0, 0.0, 0.0)
    assert (result.to_positive, result.to_negative, result.mcnemar_p) == ((), (), 1.0)


def test_drop_at_the_limit_passes_and_one_image_more_fails() -> None:
    limits = Limits(max_auc_drop=1.0)
    assert verified(flipped(positives=2), limits=limits).passed
    result = verified(flipped(positives=3), limits=limits)
    assert result.failures == ("recall fell by 0.015, limit 0.01: 3 of 200 images, p 0.25",)
    assert result.agreement == pytest.approx(1 - 3 / 400)
    assert result.to_negative == tuple(
        ChangedPrediction(f"{number}.png", "PNEUMONIA", 0.880797, 0.119203) for number in range(3)
    )
    assert result.to_positive == ()
    assert result.mcnemar_p == 2 * 0.5**3


def test_mcnemar_compares_correctness_and_not_decisions() -> None:
    # Equally many decisions change in both directions, and every change is to the wrong label.
    result = verified(flipped(positives=6, negatives=6), limits=Limits(**LOOSE))
    assert (len(result.to_negative), len(result.to_positive)) == (6, 6)
    assert result.mcnemar_p == pytest.approx(2 * 0.5**12)


def test_mcnemar_sees_no_difference_where_as_much_is_gained_as_lost() -> None:
    # Float is wrong on six normal films, the variant on six of pneumonia; both say NORMAL more.
    before, after = FLOAT.copy(), FLOAT.copy()
    before[N : N + 6] *= -1
    after[:6] *= -1
    result = verify(reference(logits=before), after, Limits(**LOOSE))
    assert (len(result.to_negative), len(result.to_positive)) == (12, 0)
    assert result.mcnemar_p == 1.0


LOOSE = {"max_recall_drop": 1.0, "max_specificity_drop": 1.0, "max_auc_drop": 1.0}


def test_specificity_has_its_own_limit() -> None:
    limits = Limits(max_auc_drop=1.0)
    assert verified(flipped(negatives=4), limits=limits).passed
    result = verified(flipped(negatives=5), limits=limits)
    assert result.failures == ("specificity fell by 0.025, limit 0.02: 5 of 200 images, p 0.062",)
    assert [flip.path for flip in result.to_positive] == [f"{N + n}.png" for n in range(5)]


def test_auc_has_its_own_limit() -> None:
    # Two of 200 below all others: half a hundredth of the pairs is in the wrong order.
    ranked = FLOAT.copy()
    ranked[:1] = -3.0
    limits = Limits(**LOOSE | {"max_auc_drop": 0.005})
    assert verified(ranked, limits=limits).passed
    ranked[:2] = -3.0
    result = verified(ranked, limits=limits)
    assert result.auc_drop == pytest.approx(0.01)
    assert result.failures == ("AUC fell by 0.0100, limit 0.005",)


def test_agreement_has_its_own_limit() -> None:
    # As many right ones as wrong ones change, so that nothing else moves much.
    limits = Limits(**LOOSE, min_agreement=0.98)
    assert verified(flipped(positives=4, negatives=4), limits=limits).passed
    result = verified(flipped(positives=5, negatives=4), limits=limits)
    assert result.failures == ("only 0.9775 of the predictions agree, limit 0.98: 9 of 400 differ",)


def test_agreement_is_with_the_float_model_not_with_the_labels() -> None:
    wrong = flipped(positives=20, negatives=10)  # a float model that is wrong about 30 images
    baseline = reference(logits=wrong)
    assert verify(baseline, wrong, Limits()).agreement == 1.0
    perfect = verify(baseline, FLOAT, Limits(**LOOSE, min_agreement=0.98))
    assert perfect.agreement == pytest.approx(1 - 30 / 400)
    assert (len(perfect.to_positive), len(perfect.to_negative)) == (20, 10)
    assert perfect.failures == (
        "only 0.9250 of the predictions agree, limit 0.98: 30 of 400 differ",
    )


def test_float32_must_compute_what_keras_does() -> None:
    assert verified(FLOAT + 9e-4, same_computation=True).passed
    result = verified(FLOAT + 0.01, same_computation=True)
    assert result.failures == (
        "the graph does not compute what Keras does: logits differ by 0.01, the limit is 0.001; "
        "this is a bug, please report it",
    )
    assert verified(FLOAT + 0.01).passed


def test_fewer_than_100_positives_cannot_be_called_checked() -> None:
    few = pd.concat([TABLE.iloc[:99], TABLE.iloc[N:]]).reset_index(drop=True)
    logits = np.where(few["label"] == "PNEUMONIA", 2.0, -2.0)
    result = verify(reference(few, logits), logits, Limits())
    assert result.failures == (
        "recall cannot be checked on 99 positive validation images, at least 100 are needed",
    )


def test_shift_is_measured_in_logit_and_probability() -> None:
    moved = FLOAT.copy()
    moved[0] += 0.1
    result = verified(moved)
    assert result.max_logit_difference == pytest.approx(0.1)
    shift = 1 / (1 + np.exp(-2.1)) - 1 / (1 + np.exp(-2.0))
    assert result.max_probability_shift == pytest.approx(shift)
    assert result.mean_probability_shift == pytest.approx(shift / (2 * N))


class _Broken:
    name = "broken"

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        return {"logit": np.array([[np.nan if image[0, 0, 0, 0] else 1.0]], np.float32)}


def test_engine_that_computes_no_number_is_refused() -> None:
    pixels = np.zeros((3, 1, 1, 1), np.uint8)
    assert engine_outputs(_Broken(), pixels)["logit"].tolist() == [[1.0], [1.0], [1.0]]
    pixels[1] = 1
    with pytest.raises(
        EngineError,
        match="broken computed no finite number for 1 image "
        r"\(logit\)",
    ):
        engine_outputs(_Broken(), pixels)


class _Frugal:
    """Writes each output into the memory of the one before, as engines may."""

    name = "frugal"

    def __init__(self) -> None:
        self._output = np.zeros((1, 1), np.float32)

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        self._output[:] = image[0, 0, 0, 0]
        return {"logit": self._output}


def test_output_that_an_engine_overwrites_is_kept() -> None:
    pixels = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    assert engine_outputs(_Frugal(), pixels)["logit"].tolist() == [[0.0], [1.0], [2.0]]


def test_bound_of_the_drop_is_that_of_the_images_lost() -> None:
    right = np.ones(200, bool)
    # Of none of 200, "the rule of three": 1 - 0.05 ** (1 / 200).
    assert drop_bound(right, right) == pytest.approx(1 - 0.05 ** (1 / 200))
    lost = right.copy()
    lost[:3] = False
    assert drop_bound(right, lost) == pytest.approx(0.0383, abs=1e-4)
    assert drop_bound(right, ~right) == 1.0
    # What is gained elsewhere does not count.
    assert drop_bound(lost, right) == drop_bound(right, right)


def test_limit_that_one_image_exceeds_is_a_warning() -> None:
    few = pd.concat([TABLE.iloc[:N], TABLE.iloc[N : N + 40]]).reset_index(drop=True)
    logits = np.where(few["label"] == "PNEUMONIA", 2.0, -2.0)
    result = verify(reference(few, logits), logits, Limits())
    assert result.passed
    [warning] = result.warnings
    assert warning.startswith("one validation image is more than the limit on specificity")
    assert "(1 of 40 is 0.025, limit 0.02)" in warning


def test_model_no_better_than_chance_has_a_warning() -> None:
    random = np.random.default_rng(0).normal(0, 1, 2 * N)
    result = verify(reference(logits=random), random, Limits())
    assert any("not clearly better than chance" in warning for warning in result.warnings)


def test_one_image_is_singular() -> None:
    one = pd.concat([TABLE.iloc[:N], TABLE.iloc[N : N + 1]]).reset_index(drop=True)
    logits = np.where(one["label"] == "PNEUMONIA", 2.0, -2.0)
    result = verify(reference(one, logits), np.abs(logits), Limits())
    assert result.failures[0].endswith(": 1 of 1 image, p 1")
    assert any("(1 of 1 is 1.000, limit 0.02)" in warning for warning in result.warnings)
