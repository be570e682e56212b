"""What a variant loses against the float model, measured in the engine that will run it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

from cxr_edge_convert.limits import MAX_GRAPH_DIFFERENCE, MIN_POSITIVES, Limits
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.engines import Engine, Outputs
from cxr_edge_runtime.errors import EngineError
from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.evaluation.metrics import Metrics, evaluate_fitted
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.mcnemar import exact_mcnemar
from cxr_edge_train.statistics.operating_point import OperatingPoint
from cxr_edge_train.statistics.soundness import soundness_warnings

# The difference of two shares of images is off by less than this in floating point, and a share
# itself moves by far more.
_ROUNDING = 1e-9
# Of the one-sided bound of the recall drop.
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class FloatBaseline:
    """The float model on validation images, with its frozen operating point.

    Attributes:
        table: the rows of the images.
        logits: ``[N]`` of Keras.
        operating_point: its temperature and threshold, at which every variant is verified.
        metrics: how good the float model is.
    """

    table: pd.DataFrame
    logits: NDArray[np.float64]
    operating_point: OperatingPoint
    metrics: Metrics

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        logits: NDArray[np.float64],
        operating_point: OperatingPoint,
    ) -> "FloatBaseline":
        """Measure the float model; the arguments are those of the attributes."""
        metrics = evaluate_fitted(logits, table, operating_point)
        return cls(table, logits, operating_point, metrics)

    @property
    def threshold(self) -> float:
        """An image is called positive where its probability is at least this."""
        return self.operating_point.threshold

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """The probability ``[N]`` of the positive label, at the temperature of the float model."""
        return self.operating_point.probabilities(logits)


@dataclass(frozen=True, slots=True)
class ChangedPrediction:
    """An image that the float model and a variant call differently.

    Attributes:
        path: the path of the image.
        label: its true label.
        before: the probability of the positive label that the float model gives.
        after: the probability of the positive label that the variant gives.
    """

    path: str
    label: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class LostImages:
    """How many images of one label the float model calls rightly and a variant wrongly.

    Attributes:
        net: these, less the images for which it is the other way round.
        n: how many images of the label there are.
        p: the exact two-sided p-value of McNemar's test on them.
    """

    net: int
    n: int
    p: float

    @classmethod
    def of(cls, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> "LostImages":
        """Count them.

        Args:
            before: ``[N]`` whether the float model's decision is right, on images of one label.
            after: ``[N]`` whether the variant's is.
        """
        net = int(before.sum()) - int(after.sum())
        return cls(net, len(before), exact_mcnemar(before, after))

    @property
    def share(self) -> float:
        """The drop as a share of the images; 0 where there are none."""
        return self.net / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Verification:
    """A variant compared with the float model on the same images, at its operating point.

    Attributes:
        metrics: how good the variant is.
        recall_drop: the sensitivity of the float model less that of the variant.
        recall_lost: the same in images.
        recall_drop_bound: the upper end of the one-sided 95% interval of the recall drop, see
            :func:`drop_bound`.
        specificity_drop: the specificity of the float model less that of the variant.
        specificity_lost: the same in images.
        auc_drop: the area under the ROC curve of the float model less that of the variant.
        agreement: the share of images that both call the same.
        to_positive: the images that the float model calls negative and the variant positive.
        to_negative: the images that the float model calls positive and the variant negative.
        mcnemar_p: the exact two-sided p-value of McNemar's test that both are right equally often.
        max_logit_difference: the largest absolute difference of a logit.
        mean_probability_shift: the mean absolute difference of the probability.
        max_probability_shift: the largest absolute difference of the probability.
        failures: the limits that were missed, in words; empty when the variant passed.
        warnings: what a user must know of the variant, one sentence each.
    """

    metrics: Metrics
    recall_drop: float
    recall_lost: LostImages
    recall_drop_bound: float
    specificity_drop: float
    specificity_lost: LostImages
    auc_drop: float
    agreement: float
    to_positive: tuple[ChangedPrediction, ...]
    to_negative: tuple[ChangedPrediction, ...]
    mcnemar_p: float
    max_logit_difference: float
    mean_probability_shift: float
    max_probability_shift: float
    failures: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def n(self) -> int:
        """How many images both were run on."""
        return self.recall_lost.n + self.specificity_lost.n

    @property
    def n_changed(self) -> int:
        """How many of them the two call differently."""
        return len(self.to_positive) + len(self.to_negative)

    @property
    def passed(self) -> bool:
        """True when no limit was missed."""
        return not self.failures

    @property
    def lost_too_much(self) -> bool:
        """True when a limit was missed that more images alone would not have met."""
        unchecked = int(self.recall_lost.n < MIN_POSITIVES)
        return len(self.failures) > unchecked


def engine_outputs(
    engine: Engine,
    pixels: NDArray[np.uint8],
    progress: ProgressFactory = no_progress,
    *,
    stage: str = "verifying",
) -> Outputs:
    """Run a model on images, one at a time as on the device.

    Args:
        engine: a loaded model.
        pixels: ``[N, H, W, 1] uint8``.
        progress: shows how many images were run.
        stage: what the progress is called.

    Returns:
        ``logit [N, 1]`` and, where the model gives one, ``embedding [N, C]``.

    Raises:
        EngineError: the engine failed, or an output is not a finite number.
    """
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for image in progress(stage)(pixels, len(pixels)):
        for name, value in engine.run(image[np.newaxis]).items():
            if name != "cam":
                # A copy: an engine may write the next image's values into the same memory.
                rows.setdefault(name, []).append(value[0].copy())
    outputs = {name: np.stack(values) for name, values in rows.items()}
    for name, values in outputs.items():
        broken = len(values) - int(np.isfinite(values).all(axis=1).sum())
        if broken:
            raise EngineError(
                f"{engine.name} computed no finite number for {counted(broken, 'image')} ({name})"
            )
    return outputs


def verify(
    baseline: FloatBaseline,
    logits: NDArray[np.floating],
    limits: Limits,
    *,
    same_computation: bool = False,
) -> Verification:
    """Compare a variant with the float model on the same validation images.

    Args:
        baseline: the float model.
        logits: ``[N]`` of the variant, from :func:`engine_outputs`.
        limits: the most that may be lost.
        same_computation: whether the variant is float32, so that its logits must equal those of
            Keras.
    """
    table, threshold = baseline.table, baseline.threshold
    before, after = baseline.probabilities(baseline.logits), baseline.probabilities(logits)
    metrics = evaluate_fitted(logits, table, baseline.operating_point, fitted_on=baseline.logits)
    was, now = before >= threshold, after >= threshold
    truth = positives(table).astype(bool)
    recall, specificity = lost_images(truth, was, now)
    auc_drop = baseline.metrics.auc.value - metrics.auc.value
    n_changed = int((was != now).sum())
    agreement = 1 - n_changed / len(was)
    difference = float(np.abs(baseline.logits - logits).max())

    failures: list[str] = []
    if truth.sum() < MIN_POSITIVES:
        failures.append(
            f"recall cannot be checked on {counted(truth.sum(), 'positive validation image')}, "
            f"at least {MIN_POSITIVES} are needed"
        )
    if same_computation and not difference < MAX_GRAPH_DIFFERENCE:
        failures.append(
            f"the graph does not compute what Keras does: logits differ by {difference:.4g}, "
            f"the limit is {MAX_GRAPH_DIFFERENCE:g}; this is a bug, please report it"
        )
    failures += decision_failures(recall, specificity, limits)
    if not auc_drop <= limits.max_auc_drop + _ROUNDING:
        failures.append(f"AUC fell by {auc_drop:.4f}, limit {limits.max_auc_drop:g}")
    if not agreement >= limits.min_agreement - _ROUNDING:
        failures.append(
            f"only {agreement:.4f} of the predictions agree, limit {limits.min_agreement:g}: "
            f"{n_changed} of {len(was)} differ"
        )

    def changed(which: NDArray[np.bool_]) -> tuple[ChangedPrediction, ...]:
        rows = table[which]
        values = zip(rows["path"], rows["label"], before[which], after[which])
        return tuple(
            ChangedPrediction(str(path), str(label), round(float(old), 6), round(float(new), 6))
            for path, label, old, new in values
        )

    shift = np.abs(before - after)
    return Verification(
        metrics=metrics,
        recall_drop=recall.share,
        recall_lost=recall,
        recall_drop_bound=drop_bound(was[truth], now[truth]),
        specificity_drop=specificity.share,
        specificity_lost=specificity,
        auc_drop=auc_drop,
        agreement=agreement,
        to_positive=changed(now & ~was),
        to_negative=changed(was & ~now),
        mcnemar_p=exact_mcnemar(was == truth, now == truth),
        max_logit_difference=difference,
        mean_probability_shift=float(shift.mean()),
        max_probability_shift=float(shift.max()),
        failures=tuple(failures),
        warnings=(
            *soundness_warnings(metrics.by_name(), baseline.operating_point, class_names(table)),
            *_too_few(recall, specificity, limits),
        ),
    )


def lost_images(
    truth: NDArray[np.bool_], was: NDArray[np.bool_], now: NDArray[np.bool_]
) -> tuple[LostImages, LostImages]:
    """What is lost of the positive label and of the negative one.

    Args:
        truth: ``[N]`` whether an image is positive.
        was: ``[N]`` whether the float model calls it so.
        now: ``[N]`` whether the variant does.
    """
    return LostImages.of(was[truth], now[truth]), LostImages.of(~was[~truth], ~now[~truth])


def drop_bound(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """The drop that is not exceeded with 95% confidence.

    It is the upper end of the one-sided interval (Clopper and Pearson 1934) of the share of images
    that are lost. What is gained elsewhere is not set off against them, so the bound is cautious.

    Args:
        before: ``[N]`` whether the float model's decision is right, on images of one label.
        after: ``[N]`` whether the variant's is.
    """
    lost, n = int((before & ~after).sum()), len(before)
    return float(beta.ppf(_CONFIDENCE, lost + 1, n - lost)) if lost < n else 1.0


def decision_failures(recall: LostImages, specificity: LostImages, limits: Limits) -> list[str]:
    """The drops that are larger than the limits allow, in words."""
    return [
        f"{name} fell by {lost.share:.3f}, limit {limit:g}: {lost.net} of "
        f"{counted(lost.n, 'image')}, p {lost.p:.2g}"
        for name, lost, limit in _limited(recall, specificity, limits)
        if not lost.share <= limit + _ROUNDING
    ]


def _too_few(recall: LostImages, specificity: LostImages, limits: Limits) -> list[str]:
    """Which limits a single image exceeds, in words."""
    return [
        f"one validation image is more than the limit on {name} allows (1 of {lost.n} is "
        f"{1 / lost.n:.3f}, limit {limit:g}); use more validation images to measure it"
        for name, lost, limit in _limited(recall, specificity, limits)
        if lost.n and 1 / lost.n > limit + _ROUNDING
    ]


def _limited(
    recall: LostImages, specificity: LostImages, limits: Limits
) -> tuple[tuple[str, LostImages, float], ...]:
    return (
        ("recall", recall, limits.max_recall_drop),
        ("specificity", specificity, limits.max_specificity_drop),
    )
