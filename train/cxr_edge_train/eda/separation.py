"""How far apart one property sets the two labels."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.dataset.patients import patient_groups

# Several properties of one set are looked at, so a single one in twenty would often be chance.
SIGNIFICANCE = 0.01
# Beyond this the exact p-value costs more than it tells; below it the asymptotic one fails.
_MOST_EXACT = 100


def separation_in_words(
    name: str, values: NDArray[np.number], table: pd.DataFrame, *, cause: str
) -> str:
    """Say how well one cut on a property would tell the labels apart.

    The measure is Youden's J at the best cut, which is the statistic of the two-sample
    Kolmogorov–Smirnov test: the largest gap between the cumulative shares of the labels. A
    patient's films are alike, so each patient counts once for each label.

    Args:
        name: of the property, for example ``aspect ratio``.
        values: ``[N]`` the property of each row.
        table: rows with ``label``, ``patient`` and ``path``; both labels occur.
        cause: what to ask when the labels differ.

    Returns:
        Sentences for a caption.
    """
    who = pd.DataFrame({"patient": patient_groups(table), "label": table["label"]})
    first = ~who.duplicated().to_numpy()
    values, labels = values[first], table["label"].to_numpy()[first]
    if np.ptp(values) == 0:
        return f"The {name} is the same throughout: it says nothing about the label."
    negative, positive = (values[labels == label] for label in LABELS)
    method = "exact" if len(values) <= _MOST_EXACT else "asymp"
    test = ks_2samp(negative, positive, method=method)
    return (
        f"Cutting at the best {name} would tell the labels apart with Youden's J "
        f"{test.statistic:.2f} (0 is a coin toss, 1 is perfect; one image of each patient, "
        f"n = {len(values):,}): "
        + (
            f"more than chance gives, so a model can use it. {cause}"
            if test.pvalue < SIGNIFICANCE
            else "no more than chance gives among so few patients."
        )
    )
