"""What a variant loses against float, measured with the runtime's engine on validation images."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.limits import Limits
from cxr_edge_runtime.engines import Engine
from cxr_edge_train.evaluation.metrics import Metrics, evaluate, positives
from cxr_edge_train.evaluation.temperature import probabilities

# With fewer positives a lost one moves recall by more than the limit itself.
MIN_POSITIVES = 100
# The difference of two shares of images is off by less than this in floating point, and a share
# itself moves by far more.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Verification:
    """A variant compared with float on the same images, at float's threshold and temperature.

    Attributes:
        metrics: of the variant.
        float_metrics: of the float model.
        recall_drop: float's sensitivity less the variant's.
        specificity_drop: float's specificity less the variant's.
        agreement: share of images with the same decision.
        flipped: images whose decision differs, as ``(path, float probability, its own)``.
        max_logit_difference: largest absolute difference of a logit.
        mean_probability_shift: mean absolute difference of the probability.
        failures: what was missed, in words; empty when the variant passed.
    """

    metrics: Metrics
    float_metrics: Metrics
    recall_drop: float
    specificity_drop: float
    agreement: float
    flipped: list[tuple[str, float, float]]
    max_logit_difference: float
    mean_probability_shift: float
    failures: list[str]

    @property
    def passed(self) -> bool:
        """True when no limit was missed."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """As it stands in ``report.json``."""
        return asdict(self) | {
            "metrics": self.metrics.as_dict(),
            "float_metrics": self.float_metrics.as_dict(),
        }


def engine_logits(engine: Engine, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits ``[N]`` of ``pixels [N, H, W, 1] uint8``, one image at a time as on the device."""
    return np.array([engine.run(image[np.newaxis])["logit"][0, 0] for image in pixels])


def verify(
    float_logits: NDArray[np.floating],
    variant_logits: NDArray[np.floating],
    table: pd.DataFrame,
    *,
    temperature: float,
    threshold: float,
    limits: Limits,
) -> Verification:
    """Compare a variant with float on paired validation images.

    Args:
        float_logits: ``[N]`` of the trained model.
        variant_logits: ``[N]`` of the variant, from :func:`engine_logits`.
        table: the images' rows.
        temperature: float's, frozen.
        threshold: float's, frozen.
        limits: the most that may be lost.
    """
    before = probabilities(float_logits, temperature)
    after = probabilities(variant_logits, temperature)
    float_metrics = evaluate(before, table, threshold=threshold)
    metrics = evaluate(after, table, threshold=threshold)
    recall_drop = float_metrics.sensitivity.value - metrics.sensitivity.value
    specificity_drop = float_metrics.specificity.value - metrics.specificity.value
    changed = (before >= threshold) != (after >= threshold)

    failures: list[str] = []
    n_positives = int(positives(table).sum())
    if n_positives < MIN_POSITIVES:
        failures.append(
            f"recall cannot be checked on {n_positives} positive validation images, "
            f"at least {MIN_POSITIVES} are needed"
        )
    for name, drop, limit in (
        ("recall", recall_drop, limits.max_recall_drop),
        ("specificity", specificity_drop, limits.max_specificity_drop),
    ):
        if drop > limit + _ROUNDING:
            failures.append(f"{name} fell by {drop:.4f}, the limit is {limit:g}")
    return Verification(
        metrics=metrics,
        float_metrics=float_metrics,
        recall_drop=recall_drop,
        specificity_drop=specificity_drop,
        agreement=float(1 - changed.mean()),
        flipped=[
            (str(path), round(float(old), 6), round(float(new), 6))
            for path, old, new in zip(table["path"][changed], before[changed], after[changed])
        ],
        max_logit_difference=float(np.abs(float_logits - variant_logits).max()),
        mean_probability_shift=float(np.abs(before - after).mean()),
        failures=failures,
    )
