"""What the DICOM objects of one answer have in common."""

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction

MANUFACTURER = "cxr-edge"
# Of an object, when it was made; by the clock, every call would give another file.
_DATES = ("ContentDate", "SeriesDate", "InstanceCreationDate", "DateOfSecondaryCapture")
_TIMES = ("ContentTime", "SeriesTime", "InstanceCreationTime", "TimeOfSecondaryCapture")


def uid_of(source: Dataset, prediction: Prediction, bundle: Bundle, kind: str) -> str:
    """A UID that is the same for the same answer of the same bundle to the same film.

    Two films may have one SOP instance UID, and one film gets another answer at another prevalence
    or where it is forced, so both belong to it.
    """
    answer = (prediction.image_sha256, prediction.label, prediction.prevalence)
    return str(
        generate_uid(
            entropy_srcs=[str(source.SOPInstanceUID), bundle.digest, kind, *map(str, answer)]
        )
    )


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
