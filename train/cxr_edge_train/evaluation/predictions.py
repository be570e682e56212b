"""``predictions.csv``: a model's prediction for each image of a split."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.errors import DatasetError, EngineError, ImageError
from cxr_edge_runtime.images import GreyImage, load_grey
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.layout import film_files
from cxr_edge_train.dataset.pixels import read_film, read_unchanged
from cxr_edge_train.dataset.test_films import TEST, lies_in_test
from cxr_edge_train.evaluation.subject import Answers, Subject
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.statistics.operating_point import OperatingPoint


def predict(
    subject: Subject,
    table: pd.DataFrame,
    *,
    root: Path,
    progress: ProgressFactory = no_progress,
) -> tuple[pd.DataFrame, Answers]:
    """Predict for every image of a table, read from its file as a user's image is.

    Args:
        subject: the model.
        table: rows with ``path``, ``md5``, ``label``, ``kind`` and ``patient``.
        root: folder that the paths are relative to.
        progress: makes the progress bar over the images.

    Returns:
        See :func:`prediction_table`; of a bundle also ``distance`` and ``verdict`` of its gate. And
        the answers as the model gave them.

    Raises:
        DatasetError: the table is empty, or an image is missing or changed since cleaning.
        ImageError: an image cannot be read or decoded.
        EngineError: the model computed no number.
    """
    if table.empty:
        raise DatasetError("no images in this split")
    read = ""

    def films() -> Iterator[GreyImage]:
        nonlocal read
        paths = progress("reading images")(table["path"], len(table))
        for read, md5 in zip(paths, table["md5"]):
            yield read_film(root / read, md5, least_side=subject.prepare.least_side)

    try:
        answers = subject.answers(films())
    except EngineError as error:
        raise EngineError(f"{read}: {error}") from error
    logits = answers.logits
    broken = ~np.isfinite(logits)
    if broken.any():
        path = table["path"].iloc[int(np.argmax(broken))]
        raise EngineError(f"{path}: the model's logit is not a number; this model cannot be used")
    predictions = prediction_table(table, logits, subject.operating_point)
    if answers.verdicts is not None:
        predictions = predictions.assign(distance=answers.distances, verdict=answers.verdicts)
    return predictions, answers


def predict_folder(
    subject: Subject, folder: Path, *, progress: ProgressFactory = no_progress
) -> tuple[list[str], Answers, int]:
    """Answer to every film below a folder.

    Args:
        subject: the model.
        folder: films in any order of folders.
        progress: makes the progress bar over the films.

    Returns:
        The POSIX paths of the films, relative to the folder, the answers to them, and the number of
        films that cannot be read.

    Raises:
        DatasetError: no film can be read, or some lie in a folder ``test``.
        EngineError: the model computed no number.
    """
    found = list(film_files(folder))
    if lies_in_test(folder) or any(TEST in path.lower().split("/")[:-1] for path in found):
        raise DatasetError(
            f"{folder}: is, contains or lies in a folder named test, whose films may only be "
            "measured with a log; name another folder"
        )
    read: list[str] = []

    def films() -> Iterator[GreyImage]:
        for path in progress("reading films")(found, len(found)):
            try:
                path.encode()
                film = load_grey(folder / path, least_side=subject.prepare.least_side)
            except (ImageError, UnicodeEncodeError):  # a name that is not UTF-8
                continue
            read.append(path)
            yield film

    answers = subject.answers(films())
    if not read:
        raise DatasetError(f"{folder}: contains no film that can be read")
    return read, answers, len(found) - len(read)


def model_input(path: Path, md5: str, prepare: Preprocessor) -> NDArray[np.uint8]:
    """Read and preprocess an image as ``[1, H, W, 1] uint8``, if it is the file that was cleaned.

    Raises:
        DatasetError: the file is missing, or its MD5 differs.
        ImageError: the file cannot be read or decoded.
    """
    film = read_unchanged(path, md5, least_side=prepare.least_side)
    return prepare(film).model_input


def prediction_table(
    table: pd.DataFrame, logits: NDArray[np.floating], operating_point: OperatingPoint
) -> pd.DataFrame:
    """Make the table of ``predictions.csv``, its rows numbered from 0 in the order of the images.

    Args:
        table: rows with ``path``, ``label``, ``kind`` and ``patient``.
        logits: ``[N]``.
        operating_point: gives the columns ``probability`` and ``decision``.
    """
    probability = operating_point.probabilities(logits)
    names = class_names(table)
    return (
        table[["path", "label", "kind", "patient", *names.column]]
        .reset_index(drop=True)
        .assign(
            logit=logits,
            probability=probability,
            decision=np.where(
                probability >= operating_point.threshold, names.positive, names.negative
            ),
        )
    )
