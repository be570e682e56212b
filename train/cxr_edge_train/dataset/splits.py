"""Train and validation by patient, never by image."""

import warnings

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.layout import LABELS
from cxr_edge_train.dataset.patients import patient_groups

# One fold of six: on the Kermany set about 640 pneumonia and 225 normal validation images, enough
# for a sensitivity known to two points, while five sixths remain to learn from.
VALIDATION_FOLDS = 6
# Of each label in each split. What is measured on a single patient says nothing of another, and
# nothing can be said of its spread.
MIN_PATIENTS = 2


def assign_splits(metadata: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Give each image its split: ``train``, ``validation`` or ``test``.

    The data set's own ``test`` stays test. ``train`` and ``val`` are joined; validation is one
    fold of :data:`VALIDATION_FOLDS`, stratified by kind and grouped by patient. An image of a
    patient who also has test images is left out of train and validation. Images of unknown
    patients count as a patient each.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        seed: seeds the drawing of validation.

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
            "images too. Was --patient-pattern of cxr-edge clean too general?"
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
        "train": "choose another --seed or add patients",
        "validation": "choose another --seed or add patients",
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
