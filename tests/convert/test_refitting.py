import numpy as np

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.refitting import refit, refit_failures
from cxr_edge_convert.verification import verify
from verified_logits import FLOAT, N, reference


def test_refit_finds_the_variants_own_operating_point() -> None:
    random = np.random.default_rng(0)
    logits = FLOAT + random.normal(0, 1.5, 2 * N)
    shifted = logits + 1.0
    own = refit(reference(logits=logits), shifted, min_sensitivity=0.9)
    assert own.metrics.sensitivity.value >= 0.9
    assert "sensitivity at least 0.9" in own.rule
    verification = verify(reference(logits=logits), shifted, Limits(1.0, 1.0, 1.0))
    assert own.metrics.specificity.value > verification.metrics.specificity.value
    assert (own.operating_point.temperature, own.operating_point.threshold) == (
        own.temperature, own.threshold,
    )  # fmt: skip


def test_auc_which_no_threshold_changes_is_judged_once() -> None:
    ranked = FLOAT.copy()
    ranked[:40] = -3.0  # below all normal films
    own = refit(reference(), ranked, min_sensitivity=0.5)
    limits = Limits(max_recall_drop=1.0, max_specificity_drop=1.0)
    assert reference().metrics.auc.value - own.metrics.auc.value > limits.max_auc_drop
    assert refit_failures(own, limits) == []
