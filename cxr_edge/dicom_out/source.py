"""The DICOM file that was classified, as far as its answers name it."""

import io
import re
import warnings

import pydicom
from pydicom.dataset import Dataset

from cxr_edge_runtime.errors import UnsupportedImage
from cxr_edge_runtime.images.dicom import is_dicom

# What the answers repeat of patient and study; empty where the file does not say.
_REPEATED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def read_source(content: bytes, *, name: str) -> Dataset:
    """Read the elements of a DICOM file that its answers repeat or refer to.

    Args:
        content: the bytes of the file, which was classified and is therefore sound.
        name: what error messages call it.

    Raises:
        UnsupportedImage: it is no DICOM file, or does not say which study it belongs to.
    """
    if not is_dicom(content):
        raise UnsupportedImage(f"{name}: is no DICOM file, so no study is there to answer in")
    wanted = [*_NEEDED, *_REPEATED, "SeriesNumber", "InstanceNumber", "Modality", "Rows", "Columns"]
    with warnings.catch_warnings():
        # pydicom warns of values that break the standard, with the values.
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=wanted)
        missing = [keyword for keyword in _NEEDED if not found.get(keyword)]
        if missing:
            raise UnsupportedImage(
                f"{name}: its DICOM header has no {missing[0]}, so no study is there to answer in"
            )
        for keyword in _REPEATED:
            if keyword not in found:
                setattr(found, keyword, "")
        # Of before 1993, with dots and colons, which readers of today refuse.
        found.StudyDate = _valid(str(found.StudyDate).replace(".", ""), r"\d{8}")
        found.StudyTime = _valid(str(found.StudyTime).replace(":", ""), r"\d{2,6}(\.\d{1,6})?")
        found.PatientBirthDate = _valid(str(found.PatientBirthDate).replace(".", ""), r"\d{8}")
    return found


def _valid(text: str, pattern: str) -> str:
    return text if re.fullmatch(pattern, text) else ""
