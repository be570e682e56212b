"""What a DICOM header says of the patient and of how the film was taken.

Nothing else of a header is looked at. The patient's id is only compared, and replaced before it
reaches a file; see :mod:`.pseudonyms`.
"""

import warnings
from typing import NamedTuple

from cxr_edge_runtime.images.dicom_elements import Dataset, Tag, read_elements, read_header
from cxr_edge_train.dataset.ages import age_text

_PATIENT = Tag(0x00100020, "PatientID", "LO")
# Two hospitals may give one id to two people.
_ISSUER = Tag(0x00100021, "IssuerOfPatientID", "LO")
_SEX = Tag(0x00100040, "PatientSex", "CS")
_VIEW = Tag(0x00185101, "ViewPosition", "CS")
_MAKER = Tag(0x00080070, "Manufacturer", "LO")
_MODEL = Tag(0x00081090, "ManufacturerModelName", "LO")
_SEXES = ("M", "F", "O")
_TAGS = (_PATIENT, _ISSUER, _SEX, _VIEW, _MAKER, _MODEL)


class DicomHeader(NamedTuple):
    """The header of a film; a text is empty where the file does not say.

    Attributes:
        patient_id: id of the patient and who issued it, as they stand in the file.
        age: in years, as text.
        sex: ``M``, ``F`` or ``O``; empty where anything else is written there.
        view: such as ``AP`` or ``PA``.
        device: maker and model of the device.
    """

    patient_id: str
    age: str
    sex: str
    view: str
    device: str


# The columns that metadata of DICOM files has.
COLUMNS = ("age", "sex", "view", "device")


def read_dicom_header(content: bytes, age: float | None, *, name: str) -> DicomHeader:
    """Read the header of a DICOM file that could be decoded.

    Args:
        content: the bytes of the file.
        age: the patient's age in years, as the decoder found it.
        name: what error messages call the image.
    """
    with warnings.catch_warnings():
        # pydicom warns of values that break the standard, with the values.
        warnings.simplefilter("ignore")
        syntax, at = read_header(content, name)
        dataset = read_elements(content, at, syntax, _TAGS, name)
    patient = _text(dataset, _PATIENT)
    return DicomHeader(
        patient and f"{_text(dataset, _ISSUER)}\n{patient}",
        age_text(age),
        sex if (sex := _text(dataset, _SEX).upper()) in _SEXES else "",
        _text(dataset, _VIEW),
        " ".join(filter(None, (_text(dataset, _MAKER), _text(dataset, _MODEL)))),
    )


def _text(dataset: Dataset, tag: Tag) -> str:
    """Printable text on one line: it becomes a field of a table."""
    text = dataset.text(tag, capitals=False)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
