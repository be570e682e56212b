"""All metrics of a model on a split, with one schema for a Keras model and a bundle."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.patients import KINDS
from cxr_edge_train.evaluation.metrics import (
    Confusion,
    Metrics,
    count_decisions,
    evaluate,
    evaluate_fitted,
)
from cxr_edge_train.evaluation.subgroups import Subgroup
from cxr_edge_train.evaluation.subject import ModelIdentity, Subject
from cxr_edge_train.statistics.intervals import Interval, wilson_interval
from cxr_edge_train.statistics.operating_point import OperatingPoint

# Raised when a field of `evaluation.json` changes its meaning or goes.
EVALUATION_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What measuring a model on one split found.

    Attributes:
        model: the model that was measured.
        split: ``validation`` or ``test``, or ``all`` images but those of test.
        n: number of images.
        correct: number of images whose decision is correct.
        labels: the names of the two classes, the negative one first; its films are of kind normal.
        operating_point: temperature, bias and threshold, frozen with the model.
        metrics: the metrics with their intervals.
        confusion: number of decisions by label.
        by_kind: share of correct decisions among the images of each kind, with Wilson's interval.
        subgroups: sensitivity and specificity of parts of the images, see
            :func:`cxr_edge_train.evaluation.subgroups.find_subgroups`.
        warnings: what the user should know, one sentence each; ``evaluation.json`` has none.
    """

    model: ModelIdentity
    split: str
    n: int
    correct: int
    labels: tuple[str, str]
    operating_point: OperatingPoint
    metrics: Metrics
    confusion: Confusion
    by_kind: dict[str, Interval]
    subgroups: tuple[Subgroup, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def notice(self) -> str:
        """That this is research software, to be shown beside every result."""
        return NOTICE

    def as_dict(self) -> dict[str, Any]:
        """The content of ``evaluation.json`` and, with date and digest, of a line of the test log.

        ::

            {"schema_version": 1,
             "run": name or null, "bundle": name or null, "version": of the bundle or null,
             "bundle_sha256": of bundle.json or null, "model_sha256": of model.keras or the
             bundle's model, "training_digest": of the images the model was made with,
             "split": "validation", "test" or "all", "n": images, "correct": correct decisions,
             "labels": [negative, positive],
             "threshold": …, "temperature": …, "bias": …, "prevalence": … or null,
             "metrics": {metric: {"value": …, "low": …, "high": …, "n": …}},
             "confusion": {"tn": …, "fp": …, "fn": …, "tp": …},
             "by_kind": {kind: {"value": …, "low": …, "high": …, "n": …}},
             "subgroups": [{"column": …, "value": …, "n": …, "sensitivity": {…} or null,
                            "specificity": {…} or null}],
             "notice": …}

        ``metrics`` are those of :class:`cxr_edge_train.evaluation.metrics.Metrics`; ``precision``
        is left out where nothing was called positive. ``by_kind`` has the kinds that occur.
        """
        return {
            "schema_version": EVALUATION_SCHEMA_VERSION,
            **asdict(self.model),
            "split": self.split,
            "n": self.n,
            "correct": self.correct,
            "labels": list(self.labels),
            "threshold": self.operating_point.threshold,
            "temperature": self.operating_point.temperature,
            "bias": self.operating_point.bias,
            "prevalence": self.operating_point.prevalence,
            "metrics": self.metrics.as_dict(),
            "confusion": asdict(self.confusion),
            "by_kind": {kind: asdict(share) for kind, share in self.by_kind.items()},
            "subgroups": [asdict(group) for group in self.subgroups],
            "notice": NOTICE,
        }


def summarise(
    subject: Subject, predictions: pd.DataFrame, *, split: str, fitted: bool = False
) -> Evaluation:
    """Compute all metrics.

    Args:
        subject: the model that predicted.
        predictions: its predictions, from :func:`cxr_edge_train.evaluation.predictions.predict`.
        split: ``validation`` or ``test``.
        fitted: whether the operating point was fitted on these very images, so that the error of
            calibration must be cross-fitted.

    Raises:
        DatasetError: the images have only one label.
    """
    probability = predictions["probability"].to_numpy(float)
    point = subject.operating_point
    threshold = point.threshold
    metrics = (
        evaluate_fitted(predictions["logit"].to_numpy(float), predictions, point)
        if fitted
        else evaluate(probability, predictions, threshold=threshold)
    )
    confusion = count_decisions(probability, positives(predictions), threshold=threshold)
    return Evaluation(
        model=subject.identity,
        split=split,
        n=confusion.n,
        correct=confusion.correct,
        labels=subject.names,
        operating_point=point,
        metrics=metrics,
        confusion=confusion,
        by_kind=correct_by_kind(predictions),
    )


def correct_by_kind(predictions: pd.DataFrame) -> dict[str, Interval]:
    """The share of correct decisions among the images of each kind that occurs.

    Args:
        predictions: rows with ``label``, ``decision`` and ``kind``.
    """
    correct = predictions["label"] == predictions["decision"]
    return {
        kind: wilson_interval(int(correct[of_kind].sum()), int(of_kind.sum()))
        for kind in KINDS
        if (of_kind := predictions["kind"] == kind).any()
    }
