"""``predictions.csv``: what a model says about each image of a split."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError, EngineError
from cxr_edge_runtime.preprocess import PreprocessSpec, preprocess
from cxr_edge_train.dataset.pixels import read_unchanged
from cxr_edge_train.evaluation.subject import Subject
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.operating_point import OperatingPoint


def predict(
    subject: Subject,
    table: pd.DataFrame,
    *,
    root: Path,
    progress: ProgressFactory = no_progress,
) -> pd.DataFrame:
    """Read every image of a table from its file, as a user's is read, and put it to a model.

    Args:
        subject: the model.
        table: rows with ``path``, ``md5``, ``label``, ``kind`` and ``patient``.
        root: folder the paths are relative to.
        progress: wraps the iteration over the paths, given them and their number.

    Returns:
        See :func:`prediction_table`.

    Raises:
        DatasetError: no rows, or an image is missing or changed since cleaning.
        ImageError: an image cannot be read or decoded.
        EngineError: the model computed no number.
    """
    if table.empty:
        raise DatasetError("no images in this split")
    paths = progress("reading images")(table["path"], len(table))
    images = (
        model_input(root / path, md5, subject.preprocess) for path, md5 in zip(paths, table["md5"])
    )
    logits = subject.logits(images)
    broken = ~np.isfinite(logits)
    if broken.any():
        path = table["path"].iloc[int(np.argmax(broken))]
        raise EngineError(f"{path}: the model's logit is not a number; this model cannot be used")
    return prediction_table(table, logits, subject.operating_point)


def model_input(path: Path, md5: str, spec: PreprocessSpec) -> NDArray[np.uint8]:
    """A file, still the one that was cleaned, as ``[1, H, W, 1] uint8``.

    Raises:
        DatasetError: it is missing, or its MD5 is another.
        ImageError: it cannot be read or decoded.
    """
    return preprocess(read_unchanged(path, md5), spec)


def prediction_table(
    table: pd.DataFrame, logits: NDArray[np.floating], operating_point: OperatingPoint
) -> pd.DataFrame:
    """The columns of ``predictions.csv``, rows numbered from 0 in the order of the table.

    Args:
        table: rows with ``path``, ``label``, ``kind`` and ``patient``.
        logits: ``[N]``.
        operating_point: gives the columns ``probability`` and ``decision``.
    """
    probability = operating_point.probabilities(logits)
    return (
        table[["path", "label", "kind", "patient"]]
        .reset_index(drop=True)
        .assign(
            logit=logits,
            probability=probability,
            decision=np.where(probability >= operating_point.threshold, "PNEUMONIA", "NORMAL"),
        )
    )
