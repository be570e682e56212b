"""Who is on a film: patient and kind, read from the file name."""

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
    """Patient id (empty when unknown) and kind: one of the four words above."""

    patient: str
    kind: str


def patient_groups(table: pd.DataFrame) -> "pd.Series[str]":
    """Whose image each row is, for grouping; every image of an unknown patient is a group alone.

    Args:
        table: rows with ``patient`` and ``path``.
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


def identify(filename: str, label: str, pattern: re.Pattern[str] | None = None) -> Identity:
    """Read patient and kind from a file name such as ``person12_virus_34.jpeg``.

    Args:
        filename: the name without folders.
        label: ``NORMAL`` or ``PNEUMONIA``; decides the kind where the name does not.
        pattern: searched in the file name instead of the Kermany names, for other data sets.
    """
    kind = NORMAL if label == "NORMAL" else UNKNOWN
    if pattern is not None:
        match = pattern.search(filename)
        if match is None:
            return Identity("", kind)
        group: str | int = "patient" if "patient" in pattern.groupindex else min(pattern.groups, 1)
        return Identity(match.group(group) or "", kind)
    if label == "PNEUMONIA" and (match := _PNEUMONIA.match(filename)):
        return Identity(f"{match['kind']}-{match['number']}", match["kind"])
    if label == "NORMAL" and (match := _NORMAL.match(filename)):
        return Identity(match["patient"], kind)
    return Identity("", kind)
