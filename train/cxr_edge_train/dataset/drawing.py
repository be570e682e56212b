"""Drawing validation: whole groups of images, as alike to train as can be."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.separation import Separation

# One fold of six: on the Kermany set about 640 pneumonia and 225 normal validation images, enough
# for a sensitivity known to two points, while five sixths remain to learn from.
VALIDATION_FOLDS = 6
# Patients of each label in each split. A single patient says nothing about others, nor about how
# much patients differ.
MIN_PATIENTS = 2
# Groups of each label by a column: one to train on and one for validation. There may be as few as
# two hospitals, each of many patients.
MIN_GROUPS = 2


def draw_validation(
    metadata: pd.DataFrame, separation: Separation, *, seed: int, group_by: str | None
) -> pd.DataFrame:
    """Give each image its split; see :func:`cxr_edge_train.dataset.splits.assign_splits`.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        separation: what is kept together and left out.
        seed: seed of the drawing.
        group_by: the column that the groups were joined by, if any.

    Returns:
        The metadata, with ``split`` replaced, less the rows left out, in the given order.

    Raises:
        DatasetError: a split would have too few patients, or a label has too few groups.
    """
    table = metadata[~metadata["path"].isin([path for path, _ in separation.left_out])].copy()
    table["split"] = table["split"].replace({"val": "train"})
    pool = table[table["split"] == "train"]
    _check_labels(metadata, pool, separation.people, group_by)
    groups = separation.groups[pool.index]
    by_label = {label: of.nunique() for label, of in groups.groupby(pool["label"])}
    _check_groups(by_label, group_by)
    with warnings.catch_warnings():
        # A kind with fewer images than folds (or groups) is spread as well as it can be.
        warnings.simplefilter("ignore", UserWarning)
        number = min(VALIDATION_FOLDS, *by_label.values())
        folds = StratifiedGroupKFold(n_splits=number, shuffle=True, random_state=seed)
        choices = (rows for _, rows in folds.split(pool, pool["kind"], groups))
        validation = (
            next(choices) if group_by is None else _most_suitable(list(choices), pool, separation)
        )
    table.loc[pool.index[validation], "split"] = "validation"
    _check_patients(table, separation.people)
    return table


def _most_suitable(
    folds: list[NDArray[np.intp]], pool: pd.DataFrame, separation: Separation
) -> NDArray[np.intp]:
    """Of folds of very different size, such as hospitals, the one nearest to a sixth of the images.

    A fold with enough patients on both sides comes before one without.
    """

    def unsuitable(validation: NDArray[np.intp]) -> tuple[bool, float]:
        inside = np.isin(np.arange(len(pool)), validation)
        patients = separation.people[pool.index].groupby([inside, pool["label"]]).nunique()
        too_few = len(patients) < 2 * len(class_names(pool)) or patients.min() < MIN_PATIENTS
        return bool(too_few), abs(len(validation) - len(pool) / VALIDATION_FOLDS)

    return min(folds, key=unsuitable)


def _check_labels(
    metadata: pd.DataFrame, pool: pd.DataFrame, people: "pd.Series[str]", group_by: str | None
) -> None:
    for label in class_names(metadata):
        if label not in set(metadata["label"]):
            raise DatasetError(f"the metadata has no {label} images; both labels are needed")
    if pool["label"].nunique() < 2:
        apart = metadata.loc[~people.isin(people[metadata["split"] == "test"]), "label"]
        cause = (
            "a patient or a near-duplicate with test images. Was the patient pattern given to "
            "cxr-edge clean too general?"
            if group_by is None or apart.nunique() < 2
            else f"a {group_by} with test images; group by another column"
        )
        raise DatasetError(
            f"no images of both labels are left to train on: all others share {cause}"
        )


def _check_groups(by_label: dict[str, int], group_by: str | None) -> None:
    needed = MIN_PATIENTS * VALIDATION_FOLDS if group_by is None else MIN_GROUPS
    for label, number in by_label.items():
        if number >= needed:
            continue
        if group_by is not None:
            raise DatasetError(
                f"{label}: {counted(number, 'group')} by {group_by} for training "
                f"and validation, at least {needed} are needed to split by {group_by}"
            )
        raise DatasetError(
            f"{label}: {counted(number, 'patient')} for training and validation, at least "
            f"{needed} are needed to split by patient and have {MIN_PATIENTS} in validation"
        )


def _check_patients(table: pd.DataFrame, patient: "pd.Series[str]") -> None:
    advice = {
        "test": "put more films into the data set's test folder or remove it, and clean again",
        "train": "choose another seed or add patients",
        "validation": "choose another seed or add patients",
    }
    for split, rows in table.groupby("split"):
        for label in class_names(table):
            number = patient[rows.index[rows["label"] == label]].nunique()
            if number < MIN_PATIENTS:
                raise DatasetError(
                    f"{split}: {counted(number, 'patient')} of {label}, at least {MIN_PATIENTS} "
                    f"of each label are needed to measure on it; {advice[split]}"
                )
