"""Weights under which the look of a film tells nothing of its label.

A *look* is the kind of device that seems to have made a film. Where a look is on many films of one
label and few of the other, a network that learns the look is right most of the time, and wrong on
the next hospital's films. Weighted by these, every look has the same share in both labels.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.metadata import LOOK
from cxr_edge_train.evaluation.metrics import positives
from cxr_edge_train.evaluation.operating_point import OperatingPoint


def look_weights(
    labels: NDArray[np.integer], looks: NDArray[np.object_], *, balance: float = 1.0
) -> NDArray[np.float64]:
    """Weight films so that each look has the same share in both labels.

    The share of a look is the mean of its shares in the two labels. Looks that only one label has
    cannot be made alike and keep their share in it.

    Args:
        labels: ``[N]`` of 0 and 1.
        looks: ``[N]`` of words.
        balance: 1 makes shares alike, 0 leaves all films alike, between them the weights are
            powers of it.

    Returns:
        ``[N]``, positive, of mean 1 within each label.
    """
    counts = pd.crosstab(looks, labels)
    shares = counts / counts.sum()
    common = (counts > 0).all(axis=1)
    wanted = shares.where(~common, shares.mean(axis=1), axis=0)
    ratios = (wanted / shares).pow(balance)
    weights = np.array([ratios.at[look, label] for look, label in zip(looks, labels)])
    for label in np.unique(labels):
        weights[labels == label] /= weights[labels == label].mean()
    return weights


def table_weights(table: pd.DataFrame, *, balance: float) -> NDArray[np.float64] | None:
    """The weights of the films of one split; None where the recipe asks for none.

    Args:
        table: rows with ``label`` and, where the splits name it, ``look``.
        balance: the recipe's ``look_balance``.

    Raises:
        DatasetError: the recipe balances looks and the table names none.
    """
    if not balance:
        return None
    if LOOK not in table:
        raise DatasetError(
            f"the recipe has look_balance {balance:g}, but the splits have no column {LOOK!r}; "
            "add it, or set look_balance to 0"
        )
    return look_weights(positives(table), table[LOOK].to_numpy(object), balance=balance)


def threshold_rule(point: OperatingPoint, weights: NDArray[np.float64] | None) -> str:
    """The rule that chose a threshold, in words, with how films were weighted."""
    return point.rule + (", looks balanced" if weights is not None else "")
