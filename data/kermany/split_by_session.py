r"""Split the Kermany set so that validation has sessions of which no film was trained on.

    python data/kermany/split_by_session.py clean_metadata.csv \
        data/kermany/acquisition_domains.csv -o splits.csv

The numbers in the file names follow the time: normal films of uncommon acquisition domains come in
runs of neighbouring numbers, as if a device or a way to export had been used for some days (a
session). A split by patient puts such a session on both sides, and validation is then optimistic.
Here whole runs of numbers are validation: of normal films two sessions, one of them with a quarter
of all films of uncommon domains; of pneumonia every sixth block of fifty patients. The splits also
get the acquisition domain of each film, in the column look; see data/kermany/find_domains.py.
"""

import argparse
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.errors import CxrEdgeError, DatasetError
from cxr_edge_train.dataset.acquisition_weights import domains_of, read_domains
from cxr_edge_train.dataset.metadata import DOMAIN_COLUMN, read_metadata, write_splits

# First and last number of the validation patients, by the beginning of a normal patient's name.
NORMAL_SESSIONS = {"IM": (500, 599), "NORMAL2-IM": (680, 829)}
# Pneumonia patients in a block, and one block in how many is validation.
BLOCK, EVERY = 50, 6


def is_validation(patient: str) -> bool:
    """Decide whether a patient, such as ``NORMAL2-IM-0123`` or ``virus-45``, is in validation."""
    series, _, digits = patient.rpartition("-")
    number = int(digits)
    if series in NORMAL_SESSIONS:
        first, last = NORMAL_SESSIONS[series]
        return first <= number <= last
    return number // BLOCK % EVERY == 0


def split_by_session(metadata: pd.DataFrame, domains: pd.DataFrame) -> pd.DataFrame:
    """Give each film its split and its acquisition domain.

    Args:
        metadata: as :func:`cxr_edge_train.dataset.metadata.read_metadata` returns it.
        domains: rows with ``file`` and ``look`` (the domain) for all films that are not test.

    Returns:
        The metadata with ``split`` replaced and ``look`` added, which is empty for test films.

    Raises:
        DatasetError: a film has no domain, or a patient's name does not end in a number.
    """
    table = metadata.copy()
    table["split"] = table["split"].replace({"val": "train"})
    learned = table["split"] == "train"
    unnamed = table.loc[learned & ~table["patient"].str.contains(r"-\d+$"), "path"]
    if len(unnamed):
        raise DatasetError(
            f"{unnamed.iloc[0]}: its patient has no number, so its session is not known"
        )
    chosen = table.loc[learned, "patient"].map(is_validation)
    table.loc[chosen.index[chosen], "split"] = "validation"
    table[DOMAIN_COLUMN] = ""
    table.loc[learned, DOMAIN_COLUMN] = domains_of(table.loc[learned, "path"], domains)
    return table


def main() -> None:
    """Write the splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("metadata", type=Path)
    parser.add_argument("domains", type=Path, help="CSV with the columns file and look")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        table = split_by_session(read_metadata(arguments.metadata), read_domains(arguments.domains))
        write_splits(arguments.output, table)
    except (CxrEdgeError, OSError) as error:
        parser.exit(2, f"error: {error}\n")
    print(pd.crosstab([table["split"], table["label"]], table[DOMAIN_COLUMN]).to_string())


if __name__ == "__main__":
    main()
