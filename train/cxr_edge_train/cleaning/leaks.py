"""Does test hold what training has seen? The verdict on the data as found."""

from collections.abc import Sequence
from typing import Literal

from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.cleaning.report import Leaks, NearDuplicate

# `val` joins train later, so what those two share is no leak.
_PATIENTS = """
SELECT patient FROM files WHERE md5 IS NOT NULL AND patient != ''
GROUP BY patient HAVING max(split = 'test') AND max(split != 'test') ORDER BY patient
"""
# Each training copy with the first of its test copies; all pairs of large groups would say no more.
_EXACT = """
SELECT files.path, in_test.path
FROM files JOIN (
    SELECT md5, min(path) AS path FROM files WHERE md5 IS NOT NULL AND split = 'test' GROUP BY md5
) AS in_test USING (md5)
WHERE files.split != 'test' ORDER BY files.path
"""


def find_leaks(inventory: Inventory, near_duplicates: Sequence[NearDuplicate]) -> Leaks:
    """Patients, exact duplicates and near-duplicates that lie in test and in train or val.

    Args:
        inventory: after :func:`cxr_edge_train.cleaning.duplicates.remove_duplicates`.
        near_duplicates: what :mod:`cxr_edge_train.cleaning.near_duplicates` found.
    """
    patients = tuple(patient for (patient,) in inventory.connection.execute(_PATIENTS))
    exact = tuple((train, test) for train, test in inventory.connection.execute(_EXACT))
    # The first of a pair was found first, and test is walked last.
    near = tuple((pair.first, pair.second) for pair in near_duplicates if pair.across_splits)
    verdict: Literal["leak", "none"] = "leak" if patients or exact or near else "none"
    return Leaks(verdict, patients, exact, near, _in_words(inventory, patients, exact, near))


def _in_words(
    inventory: Inventory,
    patients: Sequence[str],
    exact: Sequence[tuple[str, str]],
    near: Sequence[tuple[str, str]],
) -> str:
    if not inventory.count("split = 'test'"):
        return "There is no test folder, so nothing can leak into it."
    unknown = inventory.count("md5 IS NOT NULL AND patient = ''")
    doubt = (
        f" The patient of {unknown} images is unknown, so shared patients may be missed."
        if unknown
        else ""
    )
    if not (patients or exact or near):
        return "Training and test folders share no patient, no file and no near-duplicate." + doubt
    words = (
        "As found, the training and test folders share "
        f"{_counted(len(patients), 'patient')}, {_counted(len(exact), 'exact duplicate')} and "
        f"{_counted(len(near), 'near-duplicate')}."
    )
    if exact:
        words += " Of exact duplicates the training copy is left out of the metadata."
    if patients:
        words += " cxr-edge split drops the training images of patients who have test images."
    if near:
        words += (
            " Near-duplicates are only reported: remove one of each pair, unless its patient is "
            "known and shared."
        )
    return words + doubt


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
