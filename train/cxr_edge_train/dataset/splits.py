"""Train and validation by patient, never by image."""

import warnings

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.patients import patient_groups

# One fold of six: on the Kermany set about 640 pneumonia and 225 normal validation images, enough
# for a sensitivity known to two points, while five sixths remain to learn from.
VALIDATION_FOLDS = 6


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
        DatasetError: a label has no images, or fewer patients than folds.
    """
    patient = patient_groups(metadata)
    is_test = metadata["split"] == "test"
    leaking = ~is_test & patient.isin(patient[is_test])
    table = metadata[~leaking].copy()
    table["split"] = table["split"].replace({"val": "train"})

    pool = table[table["split"] == "train"]
    groups = patient[pool.index]
    if pool["label"].nunique() < 2:
        raise DatasetError(
            "no images of both labels are left to train on: the patients of all others have test "
            "images too. Was --patient-pattern of cxr-edge clean too general?"
        )
    for label, of_label in groups.groupby(pool["label"]):
        if of_label.nunique() < VALIDATION_FOLDS:
            raise DatasetError(
                f"{label}: {of_label.nunique()} patients for training and validation, "
                f"at least {VALIDATION_FOLDS} are needed to split by patient"
            )
    folds = StratifiedGroupKFold(n_splits=VALIDATION_FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A kind with fewer images than folds (or groups) is spread as well as it can be.
        warnings.simplefilter("ignore", UserWarning)
        _, validation = next(folds.split(pool, pool["kind"], groups))
    table.loc[pool.index[validation], "split"] = "validation"
    return table
