"""Images and patients that both the training and the test folders hold, as they were found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cxr_edge_runtime.counting import counted
from cxr_edge_train.cleaning.checks.check import Check, CheckContext, Summary
from cxr_edge_train.cleaning.checks.near_duplicates import CHECK as NEAR_DUPLICATES
from cxr_edge_train.cleaning.inventory import Inventory
from cxr_edge_train.dataset.near_duplicates import NearDuplicate

# `val` joins train later, so what those two share is not a leak.
_PATIENTS = """
SELECT patient FROM files WHERE md5 IS NOT NULL AND patient != ''
GROUP BY patient HAVING max(split = 'test') AND max(split != 'test') ORDER BY patient
"""
# Each training copy with the first of its test copies: all pairs of a large group add nothing.
_EXACT = """
SELECT files.path, in_test.path
FROM files JOIN (
    SELECT md5, min(path) AS path FROM files WHERE md5 IS NOT NULL AND split = 'test' GROUP BY md5
) AS in_test USING (md5)
WHERE files.split != 'test' ORDER BY files.path
"""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What train and test share, in the data as found. ``val`` counts as train, which it joins.

    The field names are the keys of the report.

    Attributes:
        verdict: whether anything is shared.
        patients: ids of patients with images on both sides.
        exact: pairs of byte-identical files, the training side first.
        near: pairs of near-duplicates, the training side first.
        words: the finding in a sentence or two.
    """

    verdict: Literal["leak", "none"]
    patients: tuple[str, ...]
    exact: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]
    words: str


def find_leaks(inventory: Inventory, near_duplicates: Sequence[NearDuplicate]) -> Leaks:
    """Find patients, exact duplicates and near-duplicates that lie in test and in train or val.

    Args:
        inventory: all files, after
            :func:`cxr_edge_train.cleaning.checks.duplicates.leave_out_duplicates`.
        near_duplicates: the pairs of :mod:`cxr_edge_train.cleaning.checks.near_duplicates`.
    """
    patients = tuple(patient for (patient,) in inventory.connection.execute(_PATIENTS))
    exact = tuple((train, test) for train, test in inventory.connection.execute(_EXACT))
    # The first of a pair was found first, and the test folder is searched last.
    near = tuple((pair.first, pair.second) for pair in near_duplicates if pair.across_splits)
    verdict: Literal["leak", "none"] = "leak" if patients or exact or near else "none"
    return Leaks(verdict, patients, exact, near, _text(inventory, patients, exact, near))


def _text(
    inventory: Inventory,
    patients: Sequence[str],
    exact: Sequence[tuple[str, str]],
    near: Sequence[tuple[str, str]],
) -> str:
    if not inventory.count("split = 'test'"):
        return "There is no test folder, so nothing can leak into it."
    unknown = inventory.count("md5 IS NOT NULL AND patient = ''")
    doubt = (
        f" The patient of {counted(unknown, 'image')} is unknown, so shared patients may be missed."
        if unknown
        else ""
    )
    if not (patients or exact or near):
        return "Training and test folders share no patient, no file and no near-duplicate." + doubt
    text = (
        "As found, the training and test folders share "
        f"{counted(len(patients), 'patient')}, {counted(len(exact), 'exact duplicate')} and "
        f"{counted(len(near), 'near-duplicate')}."
    )
    if exact:
        text += " The training copies of exact duplicates are left out of the metadata."
    if patients:
        text += " cxr-edge split drops the training images of patients who have test images."
    if near:
        text += (
            " cxr-edge split leaves out training images that are near-duplicates of test images, "
            "and the other images of their patients."
        )
    return text + doubt


def _run(context: CheckContext) -> Leaks:
    pairs = context.finding(NEAR_DUPLICATES)
    return find_leaks(context.inventory, pairs)


def _summarise(leaks: Leaks) -> Summary:
    return Summary(
        leaks.words,
        leaks.verdict,
        alarm=leaks.verdict == "leak",
        columns=("what", "first", "second"),
        rows=(
            *(("patient", patient, "") for patient in leaks.patients),
            *(("same image", first, second) for first, second in leaks.exact),
            *(("nearly the same image", first, second) for first, second in leaks.near),
        ),
    )


CHECK = Check(
    "leaks",
    Leaks,
    _run,
    _summarise,
    explanation="A leak is a patient or an image that lies in test and in train or val: the model "
    "has then seen in training what it is tested on.",
)
