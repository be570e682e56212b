"""The patient and the kind of a film, read from the file name."""

import re
from dataclasses import dataclass

import pandas as pd

from cxr_edge_runtime.errors import InvalidRequest

NORMAL, BACTERIA, VIRUS, UNKNOWN = "normal", "bacteria", "virus", "unknown"
KINDS = (NORMAL, BACTERIA, VIRUS, UNKNOWN)

# The names of Kermany et al. 2018. Bacteria and virus are numbered separately, and so are IM and
# NORMAL2-IM: the series belongs to the patient id, the bare number would join different people.
_PNEUMONIA = re.compile(r"person(?P<number>\d+)_(?P<kind>bacteria|virus)_\d+")
_NORMAL = re.compile(r"(?P<patient>(?:NORMAL\d*-)?IM-\d+)-\d+")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file name says about a film.

    Attributes:
        patient: the id of the patient, empty when unknown.
        kind: one of :data:`KINDS`.
        by_pattern: whether the user's own pattern found the patient.
    """

    patient: str
    kind: str
    by_pattern: bool = False


@dataclass(frozen=True, slots=True)
class UnknownPatients:
    """How many images of a data set have no known patient.

    Attributes:
        images: number of images whose patient is unknown.
        of: number of all images.
    """

    images: int
    of: int

    @classmethod
    def among(cls, table: pd.DataFrame) -> "UnknownPatients":
        """Count the rows of a table with the column ``patient``."""
        return cls(int((table["patient"] == "").sum()), of=len(table))

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for the user, or none where all patients are known."""
        if not self.images:
            return ()
        return (
            f"the patient of {self.images} of {self.of} images is unknown; each of them counts "
            "as a patient of its own, so images of one person may fall on both sides of a split",
        )


def patient_groups(table: pd.DataFrame) -> "pd.Series[str]":
    """Name the group of each row: its patient, or the image itself where the patient is unknown.

    Args:
        table: rows with ``patient`` and ``path``.

    Returns:
        ``[N]`` names, with the index of the table.
    """
    return table["patient"].where(table["patient"] != "", "image:" + table["path"])


def compile_patient_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the regular expression that finds the patient in a file name.

    The patient is the group named ``patient``, else the first group, else the whole match.

    Raises:
        InvalidRequest: the pattern is not a valid regular expression.
    """
    if not isinstance(pattern, str):
        raise InvalidRequest(f"the patient pattern must be text, not {pattern!r}")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InvalidRequest(f"patient pattern {pattern!r}: {error}") from None


def identify(filename: str, *, positive: bool, pattern: re.Pattern[str] | None = None) -> Identity:
    """Read the patient and the kind from a file name such as ``person12_virus_34.jpeg``.

    Args:
        filename: the name without folders.
        positive: whether its label is the positive one; decides the kind where the name does not.
        pattern: is searched in the file name instead of Kermany's names, for other data sets.
    """
    kind = UNKNOWN if positive else NORMAL
    if pattern is not None:
        match = pattern.search(filename)
        if match is None:
            return Identity("", kind)
        group: str | int = "patient" if "patient" in pattern.groupindex else min(pattern.groups, 1)
        patient = match.group(group) or ""
        return Identity(patient, kind, by_pattern=bool(patient))
    if positive and (match := _PNEUMONIA.match(filename)):
        return Identity(f"{match['kind']}-{match['number']}", match["kind"])
    if not positive and (match := _NORMAL.match(filename)):
        return Identity(match["patient"], kind)
    return Identity("", kind)
