"""The metrics of a set of predictions, and their confusion matrix."""

from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.evaluation.reliability import expected_calibration_error
from cxr_edge_train.statistics.intervals import Interval, patient_bootstrap, wilson_interval
from cxr_edge_train.statistics.operating_point import OperatingPoint
from cxr_edge_train.statistics.platt_scaling import cross_fitted_probabilities
from cxr_edge_train.statistics.ranking import Ranking

# The bootstrap's seed is part of the definition of the interval, not an option.
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True, slots=True)
class Confusion:
    """The confusion matrix; by label.

    Attributes:
        tn: number of negative images called negative.
        fp: number of negative images called positive.
        fn: number of positive images called negative.
        tp: number of positive images called positive.
    """

    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def correct(self) -> int:
        """The number of correct decisions."""
        return self.tn + self.tp

    @property
    def n(self) -> int:
        """The number of all decisions."""
        return self.tn + self.fp + self.fn + self.tp

    @property
    def sensitivity(self) -> Interval:
        """The share of positive images called positive, with Wilson's interval."""
        return wilson_interval(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> Interval:
        """The share of negative images called negative, with Wilson's interval."""
        return wilson_interval(self.tn, self.tn + self.fp)


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of one model on one split, each with its 95% interval.

    Shares of images have Wilson's interval, the others that of the patient-level bootstrap.

    Attributes:
        auc: area under the ROC curve; bootstrap.
        average_precision: of the positive label, over all thresholds; bootstrap.
        sensitivity: recall of the positive label at the threshold; Wilson.
        specificity: recall of the negative label at the threshold; Wilson.
        precision: share of positives among the images called so; Wilson. None where none was.
        f1: harmonic mean of sensitivity and precision; bootstrap.
        accuracy: share of correct decisions at the threshold; Wilson.
        brier: mean squared difference of probability and label (Brier 1950); bootstrap. On the
            images that temperature and bias were fitted on, this and the next are those of
            :func:`cxr_edge_train.statistics.platt_scaling.cross_fitted_probabilities`.
        expected_calibration_error: see
            :func:`cxr_edge_train.evaluation.reliability.expected_calibration_error`, also for its
            interval.
    """

    auc: Interval
    average_precision: Interval
    sensitivity: Interval
    specificity: Interval
    precision: Interval | None
    f1: Interval
    accuracy: Interval
    brier: Interval
    expected_calibration_error: Interval

    def by_name(self) -> dict[str, Interval]:
        """The metrics by their names, in the order of the attributes; one that is None is left out.

        It is the form of ``bundle.json`` and ``run.json``.
        """
        metrics = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: metric for name, metric in metrics.items() if metric is not None}

    def as_dict(self) -> dict[str, dict[str, float]]:
        """:meth:`by_name` with each interval as a dictionary, as it stands in JSON."""
        return {name: asdict(metric) for name, metric in self.by_name().items()}


def count_decisions(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], *, threshold: float
) -> Confusion:
    """Count decisions by label.

    Args:
        probabilities: ``[N]`` of the positive label.
        labels: ``[N]`` of 1 (positive) and 0.
        threshold: an image is called positive where its probability is at least this.
    """
    matrix = confusion_matrix(labels, probabilities >= threshold, labels=[0, 1])
    return Confusion(*map(int, matrix.ravel()))


def evaluate(
    probabilities: NDArray[np.floating],
    table: pd.DataFrame,
    *,
    threshold: float,
    cross_fitted: NDArray[np.floating] | None = None,
) -> Metrics:
    """Compute all metrics of a set of predictions.

    Args:
        probabilities: ``[N]`` probability of the positive label.
        table: rows of the images, with ``label``, ``patient`` and ``path``.
        threshold: an image is called positive where its probability is at least this.
        cross_fitted: ``[N]``, the probabilities that the error of calibration and Brier's score are
            measured on; None for the same.

    Raises:
        DatasetError: the images have only one label.
    """
    labels = positives(table)
    calibrated = probabilities if cross_fitted is None else cross_fitted
    if len(np.unique(labels)) < 2:
        raise DatasetError("only one label is present; both are needed to measure a classifier")
    ranking = Ranking(probabilities, labels)
    called = (probabilities >= threshold).astype(np.int64)
    squares = (calibrated - labels) ** 2

    def statistics(weights: NDArray[np.int64]) -> dict[str, float]:
        auc, average_precision = ranking.areas(weights)
        true_positives = int(weights @ (labels * called))
        return {
            "auc": auc,
            "average_precision": average_precision,
            "f1": 2 * true_positives / max(1, int(weights @ (labels + called))),
            "brier": float(weights @ squares) / int(weights.sum()),
        }

    patients = patient_groups(table).to_numpy(object)
    drawn = patient_bootstrap(statistics, patients, seed=_BOOTSTRAP_SEED)
    counts = count_decisions(probabilities, labels, threshold=threshold)
    n_called = counts.tp + counts.fp
    return Metrics(
        auc=drawn["auc"],
        average_precision=drawn["average_precision"],
        sensitivity=counts.sensitivity,
        specificity=counts.specificity,
        precision=wilson_interval(counts.tp, n_called) if n_called else None,
        f1=drawn["f1"],
        accuracy=wilson_interval(counts.correct, counts.n),
        brier=drawn["brier"],
        expected_calibration_error=expected_calibration_error(
            calibrated, labels, patients, seed=_BOOTSTRAP_SEED
        ),
    )


def evaluate_fitted(
    logits: NDArray[np.floating],
    table: pd.DataFrame,
    point: OperatingPoint,
    *,
    fitted_on: NDArray[np.floating] | None = None,
) -> Metrics:
    """Compute all metrics on the images that the operating point was fitted on.

    Args:
        logits: ``[N]`` of the images.
        table: rows of the images, as for :func:`evaluate`.
        point: the operating point.
        fitted_on: ``[N]``, the logits of the same images that it was fitted on, where they are
            those of another model.

    Raises:
        DatasetError: the images have only one label.
    """
    cross_fitted = None
    labels = positives(table)
    # Without a prevalence no bias was fitted, and with one label there is nothing to fit.
    if point.prevalence is not None and len(np.unique(labels)) == 2:
        cross_fitted = cross_fitted_probabilities(
            logits if fitted_on is None else fitted_on,
            labels,
            patient_groups(table).to_numpy(object),
            applied_to=logits,
        )
    return evaluate(
        point.probabilities(logits), table, threshold=point.threshold, cross_fitted=cross_fitted
    )
