"""Which films are test. Their labels are read with a log alone; everything else leaves them out."""

from pathlib import Path

import pandas as pd

from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.dataset.metadata import (
    DOMAIN_COLUMN,
    SPLIT_COLUMNS,
    SPLITS,
    check_values,
    digests_of,
    read_table,
)

TEST = "test"
# What people call splits, in small letters, and what the folders are called here.
SPLIT_WORDS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": TEST, "testing": TEST, "holdout": TEST, "hold-out": TEST,
    "hold_out": TEST,
}  # fmt: skip
# Where none is named it is looked for, and may be missing.
DEFAULT_SPLITS = "splits.csv"


def lies_in_test(folder: Path) -> bool:
    """Whether a folder is a data set's folder ``test``, or lies in it.

    Further up than its parent a folder of that name counts where one called ``train`` lies beside
    it; whoever is called test may keep films at home.
    """
    folder = folder.resolve()
    near = {folder, folder.parent} - {Path.home().resolve()}
    return any(
        place.name.lower() == TEST and (place in near or _has_train_beside(place))
        for place in (folder, *folder.parents)
    )


def _has_train_beside(folder: Path) -> bool:
    return any((folder.parent / name).is_dir() for name in ("train", "Train", "TRAIN"))


def without_test_films(
    file: Path, metadata: pd.DataFrame, splits: Path
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Select the films that may be measured without a log.

    Args:
        file: what the metadata was read from, for messages.
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        splits: ``splits.csv``, which may call further films test, and may belong to other metadata.
            :data:`DEFAULT_SPLITS` may be missing.

    Returns:
        The rows that neither calls test, with the acquisition domain where the splits state it; and
        a warning of those left out.

    Raises:
        DatasetError: the splits are missing or damaged, or all films are test.
    """
    tested, table = metadata["split"] == TEST, metadata
    if splits.exists() or splits != Path(DEFAULT_SPLITS):
        stated = read_table(splits, SPLIT_COLUMNS, made_by="cxr-edge split")
        check_values(splits, stated, "split", SPLITS)
        stated, digests = stated.assign(md5=digests_of(stated)), digests_of(metadata)
        tested |= digests.isin(stated.loc[stated["split"] == TEST, "md5"])
        if DOMAIN_COLUMN in stated and DOMAIN_COLUMN not in metadata:
            domains = stated.drop_duplicates("md5").set_index("md5")[DOMAIN_COLUMN]
            table = metadata.assign(**{DOMAIN_COLUMN: digests.map(domains)})
            table = table.fillna({DOMAIN_COLUMN: ""})
    number = int(tested.sum())
    if number == len(metadata):
        raise DatasetError(
            f"{file}: all its {counted(number, 'film')} are test films; use cxr-edge evaluate to "
            "measure on test, with a log"
        )
    warnings = (f"{counted(number, 'test film')} left out; measure on test with a log",)
    return table[~tested].reset_index(drop=True), warnings if number else ()
