"""What the DICOM objects of one answer have in common."""

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from cxr_edge_runtime.bundle import Bundle

MANUFACTURER = "cxr-edge"
# Of an object, when it was made; by the clock, every call would give another file.
_DATES = ("ContentDate", "SeriesDate", "InstanceCreationDate", "DateOfSecondaryCapture")
_TIMES = ("ContentTime", "SeriesTime", "InstanceCreationTime", "TimeOfSecondaryCapture")


def uid_of(source: Dataset, bundle: Bundle, kind: str) -> str:
    """An UID that is the same whenever the same bundle answers the same film."""
    return str(generate_uid(entropy_srcs=[str(source.SOPInstanceUID), bundle.digest, kind]))


def at_the_time_of(source: Dataset, made: Dataset) -> Dataset:
    """Date an object as the study, so that the same answer is the same file.

    A study without a date is answered at the time of the clock.
    """
    if source.StudyDate:
        date, time = source.StudyDate, source.StudyTime or "000000"
        for keywords, value in ((_DATES, date), (_TIMES, time)):
            for keyword in keywords:
                if keyword in made:
                    setattr(made, keyword, value)
        for equipment in made.get("ContributingEquipmentSequence", ()):
            equipment.ContributionDateTime = date + time
    return made
