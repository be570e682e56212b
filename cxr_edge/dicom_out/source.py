"""The DICOM file that was classified, as far as its answers name it."""

import io
import re
from datetime import datetime

import pydicom
from pydicom.dataset import Dataset

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.dicom import is_dicom

# What the answers repeat of patient and study; empty where the file does not say.
_TEXTS = ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_DATES = ("StudyDate", "PatientBirthDate")
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_WANTED = (
    *_NEEDED, *_TEXTS, *_DATES, "PatientSex", "StudyTime", "SeriesNumber", "InstanceNumber",
    "Modality", "Rows", "Columns", "PatientOrientation", "SpecificCharacterSet",
)  # fmt: skip
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_SEXES = ("M", "F", "O")


def check_source(content: bytes, *, name: str) -> None:
    """Check that an answer has a place to go.

    Raises:
        UnsupportedImage: the content is not a DICOM file.
    """
    if not is_dicom(content):
        raise UnsupportedImage(f"{name}: is not a DICOM file, so there is no study for the answer")


def read_source(content: bytes, *, name: str) -> Dataset:
    """Read the elements of a DICOM file that its answers repeat or refer to.

    Texts are in Unicode, whatever the file's character set; a date, a time or a sex that breaks the
    standard is empty.

    Args:
        content: the bytes of the file, which was classified and is therefore sound.
        name: what error messages call it.

    Raises:
        UnsupportedImage: it does not say which study it belongs to.
    """
    found = pydicom.dcmread(
        io.BytesIO(content), stop_before_pixels=True, specific_tags=list(_WANTED)
    )
    missing = [keyword for keyword in _NEEDED if not found.get(keyword)]
    if missing:
        raise UnsupportedImage(
            f"{name}: its DICOM header has no {missing[0]}, so there is no study for the answer"
        )
    texts = {keyword: _first(found, keyword) for keyword in (*_TEXTS, *_DATES)}
    sex, time = _first(found, "PatientSex").upper(), _first(found, "StudyTime").replace(":", "")
    found.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _TEXTS:
        setattr(found, keyword, texts[keyword])
    for keyword in _DATES:
        # Of before 1993, with dots, which readers of today refuse.
        setattr(found, keyword, _date(texts[keyword].replace(".", "")))
    found.StudyTime = time if _TIME.fullmatch(time) else ""
    found.PatientSex = sex if sex in _SEXES else ""
    return found


def _first(dataset: Dataset, keyword: str) -> str:
    """The first value of an element as text."""
    value = dataset.get(keyword)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else None
    return "" if value is None else str(value)


def _date(text: str) -> str:
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return ""
    return text if len(text) == 8 else ""
