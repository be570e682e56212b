"""Train and validation by patient, never by image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.arguments import as_path
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files.outputs import check_apart, is_stdout
from cxr_edge_train.dataset.drawing import draw_validation
from cxr_edge_train.dataset.metadata import (
    LeftOut,
    check_splits_output,
    left_out_path,
    read_metadata,
    report_path,
    write_left_out,
    write_splits,
)
from cxr_edge_train.dataset.near_duplicates import NearDuplicate, read_near_duplicates
from cxr_edge_train.dataset.patients import UnknownPatients
from cxr_edge_train.dataset.sampling import as_seed
from cxr_edge_train.dataset.separation import separate


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
        left_out: number of images in no split.
        left_out_images: these images, each with the reason.
        left_out_list: the CSV file with the same, beside ``splits``; None where the splits went to
            standard output, beside which no file belongs.
        joined: the near-duplicates of different patients that are in one split for that reason.
        unknown_patients: number of images in a split whose patient is unknown.
        warnings: what the user should know, one sentence each.
    """

    splits: Path
    counts: tuple[SplitCount, ...]
    left_out: int
    left_out_images: tuple[LeftOut, ...]
    left_out_list: Path | None
    joined: tuple[NearDuplicate, ...]
    unknown_patients: int
    warnings: tuple[str, ...]


def split(
    metadata: str | Path,
    output: str | Path = "splits.csv",
    *,
    seed: int = 0,
    group_by: str | None = None,
) -> SplitResult:
    """Split a data set's images into train, validation and test by patient, and write the result.

    No patient is in two of them. The data set's own test folder stays test. The near-duplicates
    that cleaning found, and images with the same value in a column, are on one side, too. See
    :func:`assign_splits` for the rules.

    Args:
        metadata: ``clean_metadata.csv``. The near-duplicates are read from the cleaning report that
            lies beside it.
        output: the file to write; only earlier splits are replaced. The list of the images in no
            split is written beside it, for example ``splits.left_out.csv``.
        seed: seed of the drawing of validation, 0 to 2**32 - 1.
        group_by: a column of the metadata, for example of the site, the device or the day, which
            you may have added; None to group by patient alone.

    Returns:
        The number of images of each split and label, what was joined and left out, and warnings.

    Raises:
        DatasetError: the metadata or the cleaning report is missing or damaged (a missing report is
            a warning), or there are too few patients or groups of a label.
        InvalidRequest: an argument is not a path, the output would replace something else or
            cannot be written, the seed is out of range, or there is no such column, or no
            value in it.

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
        >>> result.left_out_images, result.joined
        ((), ())
    """
    metadata, output = as_path(metadata, "metadata"), as_path(output, "output")
    seed = as_seed(seed)
    if group_by is not None and not isinstance(group_by, str):
        raise InvalidRequest(f"group_by must be the name of a column, not {group_by!r}")
    check_splits_output(output)
    table = read_metadata(metadata)
    left_out_list = None if is_stdout(output) else left_out_path(output)
    check_apart(output, metadata)
    if left_out_list and left_out_list.resolve() == left_out_path(metadata).resolve():
        raise InvalidRequest(
            f"{output}: {left_out_list.name} next to it would overwrite cleaning's list; "
            "choose another output"
        )
    near_duplicates = read_near_duplicates(metadata)
    separation = separate(table, near_duplicates=near_duplicates or (), group_by=group_by)
    assigned = draw_validation(table, separation, seed=seed, group_by=group_by)
    write_splits(output, assigned)
    if left_out_list is not None:
        write_left_out(left_out_list, separation.left_out)
    unknown = UnknownPatients.among(assigned)
    counts = assigned.groupby(["split", "label"]).size()
    return SplitResult(
        splits=output,
        counts=tuple(
            SplitCount(name, label, int(images)) for (name, label), images in counts.items()
        ),
        left_out=len(separation.left_out),
        left_out_images=separation.left_out,
        left_out_list=left_out_list,
        joined=separation.joined,
        unknown_patients=unknown.images,
        warnings=(
            *_unknown_near_duplicates(metadata, near_duplicates),
            *separation.warnings,
            *unknown.warnings,
        ),
    )


def _unknown_near_duplicates(
    metadata: Path, near_duplicates: Sequence[NearDuplicate] | None
) -> Iterable[str]:
    if near_duplicates is None:
        yield (
            f"near-duplicates are unknown, since there is no {report_path(metadata)}; such images "
            "may fall on both sides of the split. Clean again, or keep the report next to the "
            "metadata"
        )


def assign_splits(
    metadata: pd.DataFrame,
    *,
    seed: int,
    near_duplicates: Sequence[NearDuplicate] = (),
    group_by: str | None = None,
) -> pd.DataFrame:
    """Give each image its split: ``train``, ``validation`` or ``test``.

    The data set's own ``test`` stays test. ``train`` and ``val`` are joined; validation is one
    fold of :data:`~cxr_edge_train.dataset.drawing.VALIDATION_FOLDS`, stratified by kind and grouped
    by patient. Near-duplicates join the groups of their patients, and so do equal values of a
    column. An image whose group also has test images is left out of train and validation, and so
    are near-duplicates under different labels outside test. Each image of an unknown patient counts
    as a patient of its own.

    With a column there are as many folds as its groups allow, at most that number, and validation
    is the one whose size is nearest to one of so many folds.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        seed: seed of the drawing of validation.
        near_duplicates: the pairs that cleaning found.
        group_by: name of the column; an empty value joins nothing.

    Returns:
        The metadata, with ``split`` replaced, less the rows left out, in the given order.

    Raises:
        DatasetError: a split, ``test`` included where there is one, would have fewer than
            :data:`~cxr_edge_train.dataset.drawing.MIN_PATIENTS` patients of a label, or a label has
            too few groups.
        InvalidRequest: there is no such column, or no value in it.
    """
    separation = separate(metadata, near_duplicates=near_duplicates, group_by=group_by)
    return draw_validation(metadata, separation, seed=seed, group_by=group_by)
