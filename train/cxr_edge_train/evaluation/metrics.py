"""How good a set of predictions is."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.evaluation.intervals import Interval, patient_bootstrap, wilson_interval

# The bootstrap's seed is part of the definition of the interval, not an option.
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one model on one split, each with its 95% interval.

    Attributes:
        auc: area under the ROC curve; patient-level bootstrap.
        sensitivity: recall of PNEUMONIA at the threshold; Wilson.
        specificity: recall of NORMAL at the threshold; Wilson.
        accuracy: share of right decisions at the threshold; Wilson.
    """

    auc: Interval
    sensitivity: Interval
    specificity: Interval
    accuracy: Interval

    def as_dict(self) -> dict[str, dict[str, float]]:
        """As it stands in ``bundle.json`` and ``run.json``."""
        return asdict(self)


def positives(table: pd.DataFrame) -> NDArray[np.int64]:
    """Labels of a metadata table as ``[N]`` of 1 (PNEUMONIA) and 0 (NORMAL)."""
    return np.array(table["label"] == "PNEUMONIA", dtype=np.int64)


def evaluate(
    probabilities: NDArray[np.floating], table: pd.DataFrame, *, threshold: float
) -> Metrics:
    """Compute the figures.

    Args:
        probabilities: ``[N]`` probability of PNEUMONIA.
        table: the images' rows, with ``label``, ``patient`` and ``path``.
        threshold: an image is called PNEUMONIA at or above it.

    Raises:
        DatasetError: only one label is there.
    """
    labels = positives(table)
    if len(np.unique(labels)) < 2:
        raise DatasetError("only one label is present; both are needed to measure a classifier")
    patients = patient_groups(table).to_numpy(object)
    decisions = (probabilities >= threshold).astype(np.int64)
    (tn, fp), (fn, tp) = confusion_matrix(labels, decisions, labels=[0, 1]).tolist()

    def auc(indices: NDArray[np.intp]) -> float:
        drawn = labels[indices]
        if drawn.min() == drawn.max():
            return float("nan")
        return float(roc_auc_score(drawn, probabilities[indices]))

    return Metrics(
        auc=patient_bootstrap(auc, patients, seed=_BOOTSTRAP_SEED),
        sensitivity=wilson_interval(tp, tp + fn),
        specificity=wilson_interval(tn, tn + fp),
        accuracy=wilson_interval(tp + tn, len(labels)),
    )
