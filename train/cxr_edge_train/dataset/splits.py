"""Train and validation by patient, never by image."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge_runtime.arguments import as_path
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.outputs import check_apart
from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.dataset.metadata import check_splits_output, read_metadata, write_splits
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.dataset.sampling import as_seed

# One fold of six: on the Kermany set about 640 pneumonia and 225 normal validation images, enough
# for a sensitivity known to two points, while five sixths remain to learn from.
VALIDATION_FOLDS = 6
# Patients of each label in each split. A single patient says nothing about others, nor about how
# much patients differ.
MIN_PATIENTS = 2


@dataclass(frozen=True, slots=True)
class SplitCount:
    """How many images of one label a split has.

    Attributes:
        split: ``train``, ``validation`` or ``test``.
        label: ``NORMAL`` or ``PNEUMONIA``.
        images: number of images.
    """

    split: str
    label: str
    images: int


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What a split by patient gave.

    Attributes:
        splits: the file that was written.
        counts: number of images of each split and label, ordered by split, then label.
        left_out: number of images in no split, since their patients have test images too.
        warnings: what the user should know, one sentence each.
    """

    splits: Path
    counts: tuple[SplitCount, ...]
    left_out: int
    warnings: tuple[str, ...]


def split(metadata: str | Path, output: str | Path = "splits.csv", *, seed: int = 0) -> SplitResult:
    """Split a data set's images into train, validation and test by patient, and write the result.

    No patient is in two of them. The data set's own test folder stays test. See
    :func:`assign_splits` for the rules.

    Args:
        metadata: ``clean_metadata.csv``.
        output: the file to write; only earlier splits are replaced.
        seed: seed of the drawing of validation, 0 to 2**32 - 1.

    Returns:
        The number of images of each split and label, and the warnings.

    Raises:
        DatasetError: the metadata is missing or damaged, or has too few patients of a label.
        InvalidRequest: an argument is not a path, the output would replace something else or
            cannot be written, or the seed is out of range.

    Examples:
        >>> from cxr_edge import split
        >>> result = split("clean_metadata.csv", "splits.csv", seed=0)
        >>> for count in result.counts:
        ...     print(count.split, count.label, count.images)
        test NORMAL 8
        test PNEUMONIA 8
        train NORMAL 34
        train PNEUMONIA 32
        validation NORMAL 6
        validation PNEUMONIA 8
    """
    metadata, output = as_path(metadata, "metadata"), as_path(output, "output")
    seed = as_seed(seed)
    check_splits_output(output)
    table = read_metadata(metadata)
    check_apart(output, metadata)
    assigned = assign_splits(table, seed=seed)
    write_splits(output, assigned)
    left_out = len(table) - len(assigned)
    counts = assigned.groupby(["split", "label"]).size()
    return SplitResult(
        splits=output,
        counts=tuple(
            SplitCount(name, label, int(images)) for (name, label), images in counts.items()
        ),
        left_out=left_out,
        warnings=(
            f"{left_out} training images left out, because their patients have test images too",
        )
        if left_out
        else (),
    )


def assign_splits(metadata: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Give each image its split: ``train``, ``validation`` or ``test``.

    The data set's own ``test`` stays test. ``train`` and ``val`` are joined; validation is one
    fold of :data:`VALIDATION_FOLDS`, stratified by kind and grouped by patient. An image of a
    patient who also has test images is left out of train and validation. Each image of an unknown
    patient counts as a patient of its own.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        seed: seed of the drawing of validation.

    Returns:
        The metadata, with ``split`` replaced, less the rows left out, in the given order.

    Raises:
        DatasetError: a split, ``test`` included where there is one, would have fewer than
            :data:`MIN_PATIENTS` patients of a label.
    """
    patient = patient_groups(metadata)
    is_test = metadata["split"] == "test"
    leaking = ~is_test & patient.isin(patient[is_test])
    table = metadata[~leaking].copy()
    table["split"] = table["split"].replace({"val": "train"})

    pool = table[table["split"] == "train"]
    groups = patient[pool.index]
    for label in LABELS:
        if label not in set(metadata["label"]):
            raise DatasetError(f"the metadata has no {label} images; both labels are needed")
    if pool["label"].nunique() < 2:
        raise DatasetError(
            "no images of both labels are left to train on: the patients of all others have test "
            "images too. Was the patient pattern given to cxr-edge clean too general?"
        )
    needed = MIN_PATIENTS * VALIDATION_FOLDS
    for label, of_label in groups.groupby(pool["label"]):
        if of_label.nunique() < needed:
            raise DatasetError(
                f"{label}: {_patients(of_label.nunique())} for training and validation, at least "
                f"{needed} are needed to split by patient and have {MIN_PATIENTS} in validation"
            )
    folds = StratifiedGroupKFold(n_splits=VALIDATION_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A kind with fewer images than folds (or groups) is spread as well as it can be.
        warnings.simplefilter("ignore", UserWarning)
        _, validation = next(folds.split(pool, pool["kind"], groups))
    table.loc[pool.index[validation], "split"] = "validation"
    _check_patients(table, patient)
    return table


def _check_patients(table: pd.DataFrame, patient: "pd.Series[str]") -> None:
    advice = {
        "test": "put more films into the data set's test folder or remove it, and clean again",
        "train": "choose another seed or add patients",
        "validation": "choose another seed or add patients",
    }
    for split, rows in table.groupby("split"):
        for label in LABELS:
            number = patient[rows.index[rows["label"] == label]].nunique()
            if number < MIN_PATIENTS:
                raise DatasetError(
                    f"{split}: {_patients(number)} of {label}, at least {MIN_PATIENTS} of each "
                    f"label are needed to measure on it; {advice[split]}"
                )


def _patients(number: int) -> str:
    return f"{number} patient{'' if number == 1 else 's'}"
