"""Weights under which the acquisition domain of a film says nothing about its label.

An *acquisition domain* is the kind of device that seems to have made a film. Where most films of a
domain have the same label, a network that recognises the domain is usually right, and wrong on the
films of the next hospital. With these weights every domain has the same share in both labels.

In files the domain is the column ``look``.
"""

from pathlib import Path, PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.metadata import DOMAIN_COLUMN, read_table


def read_domains(path: Path) -> pd.DataFrame:
    """Read a table that gives the acquisition domain of each film.

    Returns:
        A table with at least the columns ``file`` (a file name) and ``look`` (the domain).

    Raises:
        DatasetError: the file is missing or damaged.
    """
    return read_table(path, ("file", DOMAIN_COLUMN), made_by="data/kermany/find_domains.py")


def domains_of(paths: pd.Series, domains: pd.DataFrame) -> pd.Series:
    """Find the acquisition domain of each film by its file name.

    Args:
        paths: ``[N]`` paths of films.
        domains: as :func:`read_domains` returns it.

    Returns:
        ``[N]`` domains, with the index of ``paths``.

    Raises:
        DatasetError: a film has no domain in the table.
    """
    by_file = domains.set_index("file")[DOMAIN_COLUMN]
    found = paths.map(lambda path: PurePath(path).name).map(by_file)
    unknown = paths[found.isna() | (found == "")]
    if len(unknown):
        raise DatasetError(
            f"{unknown.iloc[0]}: its acquisition domain is not known; see "
            "data/kermany/find_domains.py"
        )
    return found


def domain_weights(
    labels: NDArray[np.integer], domains: NDArray[np.object_]
) -> NDArray[np.float64]:
    """Weight films so that each acquisition domain has the same share in both labels.

    The new share of a domain is the mean of its shares in the two labels. A domain that only one
    label has cannot be balanced: it keeps its share there, and the others are balanced among
    themselves.

    Args:
        labels: ``[N]`` of 0 and 1.
        domains: ``[N]``, the name of each film's domain.

    Returns:
        ``[N] float64``, positive and with mean 1 within each label.
    """
    counts = pd.crosstab(domains, labels)
    shares = counts / counts.sum()
    common = (counts > 0).all(axis=1)
    balanced = shares[common].mean(axis=1)
    wanted = shares.copy()
    for label in shares:
        wanted.loc[common, label] = balanced / balanced.sum() * shares.loc[common, label].sum()
    ratios = wanted / shares
    return np.array([ratios.at[domain, label] for domain, label in zip(domains, labels)])
