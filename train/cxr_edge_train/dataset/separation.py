"""Which images must be on one side of a split, and which can be on no side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.dataset.groups import Groups
from cxr_edge_train.dataset.metadata import LeftOut
from cxr_edge_train.dataset.near_duplicates import NearDuplicate
from cxr_edge_train.dataset.patients import patient_groups


@dataclass(frozen=True, slots=True, eq=False)
class Separation:
    """What a split has to keep together and to leave out.

    Attributes:
        people: ``[N]`` names with the index of the metadata: the patient of each image, where
            patients with near-duplicates have one name.
        groups: ``[N]`` names with that index: images of one group are on one side. Each group holds
            one or more of the people.
        left_out: the training images that can be on no side, with the reason.
        joined: the near-duplicates of different patients that stay and are on one side.
        warnings: how many images are left out, one sentence for each cause, and how many have no
            value in the column.
    """

    people: "pd.Series[str]"
    groups: "pd.Series[str]"
    left_out: tuple[LeftOut, ...]
    joined: tuple[NearDuplicate, ...]
    warnings: tuple[str, ...]


def separate(
    metadata: pd.DataFrame,
    *,
    near_duplicates: Sequence[NearDuplicate] = (),
    group_by: str | None = None,
) -> Separation:
    """Group the images of a data set, and find those that a split must leave out.

    Images of one patient are a group. Near-duplicates join the groups of their patients, since they
    are films of one person, and so do equal values of a column. A training image is left out where
    its group has test images, or where it has a near-duplicate under the other label outside test,
    since one of the two labels must be wrong.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        near_duplicates: the pairs that cleaning found. A name that is not in the metadata still
            joins those that it is paired with.
        group_by: name of the column; an empty value joins nothing. None for no column.

    Raises:
        InvalidRequest: there is no such column, or it is empty.
    """
    patients = patient_groups(metadata)
    values = None if group_by is None else _values(metadata, group_by)
    groups = Groups()
    known = dict(zip(metadata["path"], patients))
    for pair in near_duplicates:
        groups.join(*(known.get(path, f"image:{path}") for path in (pair.first, pair.second)))
    people = patients.map(groups.of)
    if values is not None:
        first: dict[str, str] = {}
        for value, patient in zip(values, patients):
            if value:
                groups.join(patient, first.setdefault(value, patient))
    joined = patients.map(groups.of)
    reasons, warnings = _left_out(metadata, patients, joined, values, near_duplicates)
    stay = set(metadata["path"]) - set(metadata.loc[reasons.index, "path"])
    return Separation(
        people=people,
        groups=joined,
        left_out=tuple(map(LeftOut, metadata.loc[reasons.index, "path"], reasons)),
        joined=tuple(
            pair
            for pair in near_duplicates
            if {pair.first, pair.second} <= stay and known[pair.first] != known[pair.second]
        ),
        warnings=(*warnings, *_without_value(values)),
    )


def _values(metadata: pd.DataFrame, column: str) -> "pd.Series[str]":
    if column not in metadata:
        raise InvalidRequest(
            f"the metadata has no column {column!r} to group by; it has "
            f"{', '.join(map(str, metadata.columns))}"
        )
    values: pd.Series[str] = metadata[column].astype("string").fillna("").str.strip()
    if not (values != "").any():
        raise InvalidRequest(
            f"the column {column!r} has no value in any row of the metadata; fill it, or group by "
            "patient alone"
        )
    return values


def _without_value(values: "pd.Series[str] | None") -> Iterator[str]:
    if values is not None and (empty := int((values == "").sum())):
        yield (
            f"no {values.name} is given for {empty} of {len(values)} images; each is grouped by "
            f"its patient alone, so images of one {values.name} may fall on both sides of the split"
        )


class _Cause(NamedTuple):
    """Why images are left out: the reason of each, empty where there is none, and the warning.

    The warning is what is left out, and why.
    """

    reasons: "pd.Series[str]"
    noun: str
    why: str


def _left_out(
    metadata: pd.DataFrame,
    patients: "pd.Series[str]",
    groups: "pd.Series[str]",
    values: "pd.Series[str] | None",
    near_duplicates: Sequence[NearDuplicate],
) -> tuple["pd.Series[str]", tuple[str, ...]]:
    """The first reason of each image that is left out, by its index, and the warnings."""
    is_test = metadata["split"] == "test"
    leaves = ~is_test & groups.isin(groups[is_test])
    found = pd.Series("", index=metadata.index)
    warnings = []
    for reasons, noun, why in _causes(metadata, patients, values, near_duplicates):
        new = ~is_test & (found == "") & (reasons != "")
        found[new] = reasons[new]
        if new.any():
            warnings.append(f"{counted(new.sum(), noun)} left out, because {why}")
    rest = leaves & (found == "")
    if rest.any():
        by = "near-duplicates" if values is None else f"near-duplicates or {values.name}"
        found[rest] = f"{by} link its patient to a test patient"
        warnings.append(
            f"{counted(rest.sum(), 'training image')} left out, because {by} link a patient to a "
            "test patient"
        )
    return found[found != ""], tuple(warnings)


def _causes(
    metadata: pd.DataFrame,
    patients: "pd.Series[str]",
    values: "pd.Series[str] | None",
    near_duplicates: Sequence[NearDuplicate],
) -> Iterator[_Cause]:
    path, is_test = metadata["path"], metadata["split"] == "test"
    label = dict(zip(path[~is_test], metadata.loc[~is_test, "label"]))
    tested = set(path[is_test])
    opposite: dict[str, str] = {}
    in_test: dict[str, str] = {}
    for pair in near_duplicates:
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            if other in tested:
                in_test.setdefault(one, other)
            elif one in label and label[one] != label.get(other, label[one]):
                opposite.setdefault(one, other)
    yield _Cause(
        _sentence(path, opposite, "near-duplicate of {} under the other label"),
        "image",
        "of a near-duplicate under the other label",
    )
    yield _Cause(
        _sentence(path, in_test, "near-duplicate of the test image {}"),
        "training image",
        "of a near-duplicate in test",
    )
    shared = patients.isin(patients[is_test]) & (metadata["patient"] != "")
    yield _Cause(
        ("patient " + patients + " has test images too").where(shared, ""),
        "training image",
        "test has images of the same patient",
    )
    if values is not None:
        shared = values.isin(values[is_test]) & (values != "")
        yield _Cause(
            (f"test has images of {values.name} " + values + " too").where(shared, ""),
            "training image",
            f"test has images of the same {values.name}",
        )


def _sentence(path: "pd.Series[str]", partners: Mapping[str, str], text: str) -> "pd.Series[str]":
    said = {one: text.format(other) for one, other in partners.items()}
    return path.map(lambda name: said.get(name, ""))
