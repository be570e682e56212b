r"""Split the Kermany set so that validation has sessions of which no film was trained on.

    python data/kermany/split_by_session.py clean_metadata.csv \
        data/kermany/acquisition_domains.csv -o splits.csv

The numbers in the file names run on in time: normal films of an uncommon look come in runs of
neighbouring numbers, as if a device or a way to export had been used for some days. A split by
patient puts such a session on both sides, and validation then flatters. Here whole runs of numbers
are validation: of normal films two sessions, one of them with a quarter of all uncommon looks; of
pneumonia every sixth block of fifty patients. Each film's look goes into the splits as well, see
data/kermany/find_domains.py.
"""

import argparse
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.errors import CxrEdgeError, DatasetError
from cxr_edge_train.dataset.acquisition_weights import domains_of, read_domains
from cxr_edge_train.dataset.metadata import read_metadata, write_splits

# By the beginning of a normal patient's name: first and last number of what is validation.
NORMAL_SESSIONS = {"IM": (500, 599), "NORMAL2-IM": (680, 829)}
# Of pneumonia: patients in a block, and every how many-th block is validation.
BLOCK, EVERY = 50, 6


def is_validation(patient: str) -> bool:
    """Whether a patient, such as ``NORMAL2-IM-0123`` or ``virus-45``, is in validation."""
    series, _, digits = patient.rpartition("-")
    number = int(digits)
    if series in NORMAL_SESSIONS:
        first, last = NORMAL_SESSIONS[series]
        return first <= number <= last
    return number // BLOCK % EVERY == 0


def split_by_session(metadata: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    """Give each film its split and its look.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        looks: rows with ``file`` and ``look`` for all films that are not test.

    Returns:
        The metadata with ``split`` replaced and ``look`` added, empty for test films.

    Raises:
        DatasetError: a film has no look, or a patient's name ends in no number.
    """
    table = metadata.copy()
    table["split"] = table["split"].replace({"val": "train"})
    learned = table["split"] == "train"
    unnamed = table.loc[learned & ~table["patient"].str.contains(r"-\d+$"), "path"]
    if len(unnamed):
        raise DatasetError(f"{unnamed.iloc[0]}: its patient has no number, so no session is known")
    chosen = table.loc[learned, "patient"].map(is_validation)
    table.loc[chosen.index[chosen], "split"] = "validation"
    table["look"] = ""
    table.loc[learned, "look"] = domains_of(table.loc[learned, "path"], looks)
    return table


def main() -> None:
    """Write the splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("metadata", type=Path)
    parser.add_argument("looks", type=Path, help="CSV with the columns file and look")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        table = split_by_session(read_metadata(arguments.metadata), read_domains(arguments.looks))
        write_splits(arguments.output, table)
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    print(pd.crosstab([table["split"], table["label"]], table["look"]).to_string())


if __name__ == "__main__":
    main()
