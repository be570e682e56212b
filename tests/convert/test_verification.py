import numpy as np
import pandas as pd
import pytest

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.verification import Verification, verify

N = 200
TABLE = pd.DataFrame(
    {
        "path": [f"{number}.png" for number in range(2 * N)],
        "label": ["PNEUMONIA"] * N + ["NORMAL"] * N,
        "patient": [str(number) for number in range(2 * N)],
    }
)
FLOAT = np.where(TABLE["label"] == "PNEUMONIA", 2.0, -2.0)


def verified(
    variant: np.ndarray, *, table: pd.DataFrame = TABLE, limits: Limits | None = None
) -> Verification:
    return verify(
        FLOAT[: len(table)],
        variant,
        table,
        temperature=1.0,
        threshold=0.5,
        limits=limits or Limits(),
    )


def flipped(*, positives: int = 0, negatives: int = 0) -> np.ndarray:
    variant = FLOAT.copy()
    variant[:positives] *= -1
    variant[N : N + negatives] *= -1
    return variant


def test_equal_logits_pass() -> None:
    result = verified(FLOAT)
    assert result.passed
    assert (result.agreement, result.recall_drop, result.flipped) == (1.0, 0.0, [])


def test_drop_at_the_limit_passes_and_one_image_more_fails() -> None:
    assert verified(flipped(positives=2)).passed
    result = verified(flipped(positives=3))
    assert result.failures == ["recall fell by 0.0150, the limit is 0.01"]
    assert result.agreement == pytest.approx(1 - 3 / 400)
    assert [path for path, _, _ in result.flipped] == ["0.png", "1.png", "2.png"]


def test_specificity_has_its_own_limit() -> None:
    assert verified(flipped(negatives=4)).passed
    assert verified(flipped(negatives=5)).failures == [
        "specificity fell by 0.0250, the limit is 0.02"
    ]


def test_limits_can_be_changed() -> None:
    assert verified(flipped(positives=20), limits=Limits(max_recall_drop=0.1)).passed
    assert not verified(flipped(positives=1), limits=Limits(max_recall_drop=0.0)).passed


def test_fewer_than_100_positives_cannot_be_called_checked() -> None:
    few = pd.concat([TABLE.iloc[:99], TABLE.iloc[N:]]).reset_index(drop=True)
    logits = np.where(few["label"] == "PNEUMONIA", 2.0, -2.0)
    result = verify(logits, logits, few, temperature=1.0, threshold=0.5, limits=Limits())
    assert result.failures == [
        "recall cannot be checked on 99 positive validation images, at least 100 are needed"
    ]


def test_shift_is_measured_in_logit_and_probability() -> None:
    result = verified(FLOAT + 0.1)
    assert result.max_logit_difference == pytest.approx(0.1)
    assert 0 < result.mean_probability_shift < 0.1
