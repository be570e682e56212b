"""How well probabilities and decisions fit the films of a site."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.evaluation.metrics import count_decisions, evaluate
from cxr_edge_train.statistics.intervals import Interval, patient_bootstrap
from cxr_edge_train.statistics.operating_point import OperatingPoint, fit_operating_point
from cxr_edge_train.statistics.platt_scaling import folds_by_patient

_SEED = 0
# Of a probability, so that its logarithm is a number.
_LEAST = 1e-12


def site_metrics(
    logits: NDArray[np.floating], films: pd.DataFrame, point: OperatingPoint
) -> dict[str, Interval]:
    """Measure an operating point that was not fitted on these films.

    Args:
        logits: ``[N]``.
        films: rows with ``label``, ``patient`` and ``path``.
        point: temperature, bias and threshold.

    Returns:
        ``auc``, ``sensitivity``, ``specificity``, ``log_loss`` (natural logarithm), ``brier``,
        ``expected_calibration_error`` and ``mean_probability``, with 95% intervals.
    """
    probabilities = point.probabilities(logits)
    return _metrics(logits, films, probabilities, probabilities >= point.threshold)


def cross_fitted_site_metrics(
    logits: NDArray[np.floating], films: pd.DataFrame, *, min_sensitivity: float
) -> dict[str, Interval]:
    """Measure what fitting an operating point to the films of a site gives, on films held out.

    The films are divided into five parts by patient; probabilities and decisions of each part are
    those of the operating point that was fitted on the other four.

    Args:
        logits: ``[N]``.
        films: rows with ``label``, ``patient`` and ``path``; both labels of several patients.
        min_sensitivity: see :func:`fit_operating_point`.

    Returns:
        As :func:`site_metrics`.

    Raises:
        DatasetError: the films of a label are of too few patients to hold any out.
    """
    labels, patients = positives(films), patient_groups(films).to_numpy(object)
    if min(len(set(patients[labels == label])) for label in (0, 1)) < 2:
        raise DatasetError(
            "each label needs films of at least two patients, so that some can be held out"
        )
    probabilities, called = np.empty(len(logits)), np.empty(len(logits), dtype=bool)
    for others, part in folds_by_patient(labels, patients):
        if len(others) == len(labels):
            raise DatasetError(
                "nearly all films of a label are from one patient, so none can be held out"
            )
        point = fit_operating_point(
            logits[others], labels[others], min_sensitivity=min_sensitivity, smoothed=True
        )
        probabilities[part] = point.probabilities(logits[part])
        called[part] = probabilities[part] >= point.threshold
    return _metrics(logits, films, probabilities, called)


def _metrics(
    logits: NDArray[np.floating],
    films: pd.DataFrame,
    probabilities: NDArray[np.float64],
    called: NDArray[np.bool_],
) -> dict[str, Interval]:
    labels = positives(films)
    whole = evaluate(logits.astype(float), films, threshold=0.0, cross_fitted=probabilities)
    counts = count_decisions(called.astype(float), labels, threshold=0.5)
    truth = np.clip(np.where(labels == 1, probabilities, 1 - probabilities), _LEAST, None)
    losses = -np.log(truth)

    def means(weights: NDArray[np.int64]) -> dict[str, float]:
        number = int(weights.sum())
        return {
            "log_loss": float(weights @ losses) / number,
            "mean_probability": float(weights @ probabilities) / number,
        }

    drawn = patient_bootstrap(means, patient_groups(films).to_numpy(object), seed=_SEED)
    return {
        "auc": whole.auc,
        "sensitivity": counts.sensitivity,
        "specificity": counts.specificity,
        "log_loss": drawn["log_loss"],
        "brier": whole.brier,
        "expected_calibration_error": whole.expected_calibration_error,
        "mean_probability": drawn["mean_probability"],
    }
