"""Weights under which the look of a film tells nothing of its label.

A *look* is the kind of device that seems to have made a film. Where a look is on many films of one
label and few of the other, a network that learns the look is right most of the time, and wrong on
the next hospital's films. Weighted by these, every look has the same share in both labels.
"""

from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.metadata import DOMAIN_COLUMN, positives, read_table


def read_domains(path: Path) -> pd.DataFrame:
    """A table that names the look of each film, with the columns ``file`` and ``look``.

    Raises:
        DatasetError: the file is missing or damaged.
    """
    return read_table(path, ("file", "look"), made_by="data/kermany/find_domains.py")


def domains_of(paths: pd.Series, looks: pd.DataFrame) -> pd.Series:
    """The look of each of ``[N]`` paths, by file name.

    Raises:
        DatasetError: a film has none.
    """
    found = paths.map(lambda path: PurePath(path).name).map(looks.set_index("file")["look"])
    unknown = paths[found.isna() | (found == "")]
    if len(unknown):
        raise DatasetError(
            f"{unknown.iloc[0]}: its look is not known; see data/kermany/find_domains.py"
        )
    return found


def domain_weights(labels: NDArray[np.integer], looks: NDArray[np.object_]) -> NDArray[np.float64]:
    """Weight films so that each look has the same share in both labels.

    The share of a look is the mean of its shares in the two labels. A look that only one label has
    cannot be made alike: it keeps its share there, and the others are alike among themselves.

    Args:
        labels: ``[N]`` of 0 and 1.
        looks: ``[N]`` of words.

    Returns:
        ``[N]``, positive, of mean 1 within each label.
    """
    counts = pd.crosstab(looks, labels)
    shares = counts / counts.sum()
    common = (counts > 0).all(axis=1)
    alike = shares[common].mean(axis=1)
    wanted = shares.copy()
    for label in shares:
        wanted.loc[common, label] = alike / alike.sum() * shares.loc[common, label].sum()
    ratios = wanted / shares
    return np.array([ratios.at[look, label] for look, label in zip(looks, labels)])


def table_weights(table: pd.DataFrame, *, balance: bool) -> NDArray[np.float64] | None:
    """The weights of the films of one split; None where the recipe asks for none.

    Args:
        table: rows with ``label`` and, where the splits name it, ``look``.
        balance: the recipe's ``look_balance``.

    Raises:
        DatasetError: the recipe balances looks and the table names none.
    """
    if not balance:
        return None
    if DOMAIN_COLUMN not in table:
        raise DatasetError(
            f"the recipe has look_balance, but the splits have no column {DOMAIN_COLUMN!r}; add "
            "it, or set look_balance to false"
        )
    return domain_weights(positives(table), table[DOMAIN_COLUMN].to_numpy(object))
