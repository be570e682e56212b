"""Prepare films of another source as a test set for ``cxr-edge evaluate --split test``.

    python data/kermany/external_films.py FOLDER -o OUT

FOLDER has labels.csv with the columns path (relative to FOLDER), label and patient (empty where
unknown). clean_metadata.csv and splits.csv are written to OUT. ``cxr-edge clean`` is for data sets
to learn from and refuses one without training films.
"""

import argparse
import os
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.errors import CxrEdgeError, DatasetError
from cxr_edge_train.cleaning.reading import read_facts
from cxr_edge_train.dataset.class_names import KERMANY
from cxr_edge_train.dataset.metadata import (
    ImageRecord,
    check_values,
    dataset_digest,
    read_table,
    write_metadata,
    write_splits,
)
from cxr_edge_train.dataset.patients import identify

COLUMNS = ("path", "label", "patient")
SPLIT = "test"


def external_films(folder: Path, *, relative_to: Path) -> list[ImageRecord]:
    """Read and check all films that ``labels.csv`` names.

    Args:
        folder: holds the films and ``labels.csv``.
        relative_to: the folder that will hold the metadata file.

    Returns:
        The rows of ``clean_metadata.csv``, in the order of ``labels.csv``.

    Raises:
        DatasetError: ``labels.csv`` is missing or damaged, has an unknown label, or names a film
            that is missing, cannot be read or is listed twice.
    """
    file = folder / "labels.csv"
    table = read_table(file, COLUMNS, made_by=f"the columns {', '.join(COLUMNS)}")
    check_values(file, table, "label", KERMANY)
    prefix = Path(os.path.relpath(folder.resolve(), relative_to.resolve()))
    records: list[ImageRecord] = []
    first_of: dict[str, str] = {}
    facts_of = read_facts([str(folder / path) for path in table["path"]])
    for path, label, patient, facts in zip(*(table[column] for column in COLUMNS), facts_of):
        if facts.error:
            raise DatasetError(f"{folder / path}: cannot be used ({facts.error})")
        if first_of.setdefault(facts.md5, path) != path:
            raise DatasetError(f"{folder / path}: is the same image as {first_of[facts.md5]}")
        records.append(
            ImageRecord(
                path=(prefix / path).as_posix(),
                split=SPLIT,
                label=label,
                kind=identify(Path(path).name, positive=label == KERMANY.positive).kind,
                patient=patient,
                md5=facts.md5,
                width=facts.width,
                height=facts.height,
                mode=facts.mode,
                bytes=facts.size,
                jpeg_step=facts.jpeg_step,
            )
        )
    return records


def main() -> None:
    """Write the two files and print what they hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="holds labels.csv and the films")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args()
    try:
        records = external_films(arguments.folder, relative_to=arguments.output)
        write_metadata(arguments.output / "clean_metadata.csv", records)
        films = pd.DataFrame(records)
        write_splits(arguments.output / "splits.csv", films)
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    counts = ", ".join(f"{sum(films['label'] == label)} {label}" for label in KERMANY)
    print(f"{counts}; digest {dataset_digest(films)}")


if __name__ == "__main__":
    main()
