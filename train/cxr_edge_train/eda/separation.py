"""How well a single property separates the two labels."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.patients import patient_groups

# Several properties of one set are looked at, so a single one in twenty would often be chance.
SIGNIFICANCE = 0.01
# Patients up to which the exact p-value is computed: the asymptotic one is wrong for few, and the
# exact one is slow for many.
_MOST_EXACT = 100


def separation_text(
    name: str, values: NDArray[np.number], table: pd.DataFrame, *, cause: str
) -> str:
    """Describe how well one threshold on a property would separate the labels.

    The measure is Youden's J at the best threshold, which is the statistic of the two-sample
    Kolmogorov–Smirnov test: the largest difference between the cumulative distributions of the
    labels. A patient's films are alike, so each patient counts once for each label.

    Args:
        name: name of the property, for example ``aspect ratio``.
        values: ``[N]``, the property of each row.
        table: ``N`` rows with ``label``, ``patient`` and ``path``; both labels must occur.
        cause: what to ask when the labels differ.

    Returns:
        One or two sentences for a caption.
    """
    who = pd.DataFrame({"patient": patient_groups(table), "label": table["label"]})
    first = ~who.duplicated().to_numpy()
    values, labels = values[first], table["label"].to_numpy()[first]
    if np.ptp(values) == 0:
        return f"The {name} is the same for all images, so it says nothing about the label."
    negative, positive = (values[labels == label] for label in class_names(table))
    method = "exact" if len(values) <= _MOST_EXACT else "asymp"
    test = ks_2samp(negative, positive, method=method)
    return (
        f"The best threshold on the {name} would separate the labels with Youden's J "
        f"{test.statistic:.2f} (0 is chance, 1 is perfect; one image of each patient, "
        f"n = {len(values):,}): "
        + (
            f"more than by chance, so a model can use it. {cause}"
            if test.pvalue < SIGNIFICANCE
            else "no more than by chance with this many patients."
        )
    )
