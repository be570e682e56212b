"""The film in a DICOM file: whether there is one, its greys, and what the elements say of it.

A modality is named in a message only if it is a known one.
"""

import math
import re
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images import dicom_greys
from cxr_edge_runtime.images.decoding_limits import MAX_PIXELS, check_size, exclusive_if_large
from cxr_edge_runtime.images.dicom_decompression import FrameShape
from cxr_edge_runtime.images.dicom_elements import (
    DamagedDicom,
    Dataset,
    Tag,
    read_elements,
    read_header,
)
from cxr_edge_runtime.images.dicom_frame import (
    COMPRESSED,
    FRAME_OFFSETS,
    NATIVE,
    SeveralFrames,
    UnsupportedFrame,
    compressed_samples,
    native_samples,
)
from cxr_edge_runtime.images.dicom_greys import PHOTOMETRIC, to_greys

_MODALITY = Tag(0x00080060, "Modality", "CS")
# The first that is there is taken for the day of the film.
_DATES_TAKEN = (
    Tag(0x0008002A, "AcquisitionDateTime", "DT"),
    Tag(0x00080022, "AcquisitionDate", "DA"),
    Tag(0x00080023, "ContentDate", "DA"),
    Tag(0x00080021, "SeriesDate", "DA"),
    Tag(0x00080020, "StudyDate", "DA"),
)
_BIRTH_DATE = Tag(0x00100030, "PatientBirthDate", "DA")
_AGE = Tag(0x00101010, "PatientAge", "AS")
_BODY_PART = Tag(0x00180015, "BodyPartExamined", "CS")
_VIEW = Tag(0x00185101, "ViewPosition", "CS")
_ORIENTATION = Tag(0x00200020, "PatientOrientation", "CS")
_CHANNELS = Tag(0x00280002, "SamplesPerPixel", "US")
_FRAMES = Tag(0x00280008, "NumberOfFrames", "IS")
_ROWS = Tag(0x00280010, "Rows", "US")
_COLUMNS = Tag(0x00280011, "Columns", "US")
_ALLOCATED = Tag(0x00280100, "BitsAllocated", "US")
_STORED = Tag(0x00280101, "BitsStored", "US")
_SIGNED = Tag(0x00280103, "PixelRepresentation", "US")
_TAGS = (
    _MODALITY, _BODY_PART, _VIEW, _ORIENTATION, _CHANNELS, _FRAMES, _ROWS, _COLUMNS, _ALLOCATED,
    _STORED, _SIGNED, _AGE, _BIRTH_DATE, *_DATES_TAKEN, FRAME_OFFSETS, *dicom_greys.TAGS,
)  # fmt: skip

# Computed and digital radiography, and radiography without saying which.
_RADIOGRAPHS = frozenset({"CR", "DX", "RG"})
# Others that may be named in a message; what any other value contains is unknown.
_OTHER_MODALITIES = frozenset({
    "CT", "ES", "IO", "MG", "MR", "NM", "OT", "PT", "PX", "RF", "RTIMAGE", "SC", "US", "XA",
})  # fmt: skip
_CHEST = ("CHEST", "THORAX", "LUNG")
# Frontal views by the codes of PS3.3, C.8.7.1.1.1 and C.8.11.5.1.
_FRONTAL = frozenset({"AP", "PA"})
# Where rows and columns of pixels point (PS3.3, C.7.6.1.1.1): to the left, right, front, back, head
# or feet; in a frontal film as viewers show it, above all to the patient's left and feet.
_DIRECTIONS = re.compile(r"([LRAPHF])[LRAPHF]{0,2} *\\ *([LRAPHF])[LRAPHF]{0,2}")
_UPRIGHT = ("L", "F")
# Explicit VR little endian, deflated: a small file of it may fill any memory.
_DEFLATED = "1.2.840.10008.1.2.1.99"
_HIGH_THROUGHPUT = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
# Of the units in which an age is stated (PS3.5, 6.2).
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
# More than 14 x 17 inches at 0.1 mm. Of this many, noisy and lossless, each of the codes fits into
# the memory that :mod:`.dicom_decompression` allows.
_MAX_COMPRESSED_PIXELS = 16_000_000


def read_film(
    content: bytes, name: str
) -> tuple[NDArray[np.uint8], tuple[str, ...], tuple[str, ...], float | None]:
    """Read the film of a DICOM file.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Returns:
        The attributes of :class:`cxr_edge_runtime.images.dicom.DicomFilm`.

    Raises:
        ImageError: as :func:`cxr_edge_runtime.images.dicom.decode_dicom`.
        DamagedDicom: the file is damaged.
        SeveralFrames: it has more than one frame.
        UnsupportedFrame: its frame is compressed in a way that is not known here.
    """
    syntax, at = read_header(content, name)
    _check_syntax(syntax, name)
    dataset = read_elements(content, at, syntax, _TAGS, name)
    _check(dataset, name)
    shape = FrameShape(
        dataset.whole(_ROWS),
        dataset.whole(_COLUMNS),
        dataset.whole(_ALLOCATED),
        dataset.whole(_STORED),
        bool(dataset.whole(_SIGNED)),
    )
    if not 1 <= shape.stored <= shape.allocated:
        raise DamagedDicom("its BitsStored must lie between 1 and its BitsAllocated")
    pixels, is_native = shape.rows * shape.columns, syntax in NATIVE
    is_limited = not is_native and shape.allocated > 8
    most = _MAX_COMPRESSED_PIXELS if is_limited else MAX_PIXELS
    check_size((shape.columns, shape.rows), name, max_pixels=most)
    # Several frames that are decompressed at once, each in a process of its own, would not fit.
    with exclusive_if_large(pixels=pixels if is_native else MAX_PIXELS):
        if is_native:
            samples = native_samples(dataset, shape)
        else:
            samples = compressed_samples(dataset, shape, name)
        greys, assumed = to_greys(dataset, samples, shape)
    return greys, assumed, _objections(dataset), _age(dataset)


def _check_syntax(syntax: str, name: str) -> None:
    if not syntax:
        raise DamagedDicom("it states no transfer syntax")
    if syntax == _DEFLATED:
        raise UnsupportedImage(f"{name}: a deflated DICOM file; export it uncompressed or as JPEG")
    if syntax in _HIGH_THROUGHPUT:
        raise UnsupportedFrame("High-Throughput JPEG 2000")
    if syntax not in NATIVE | COMPRESSED:
        raise UnsupportedFrame("an unknown compression")


def _check(dataset: Dataset, name: str) -> None:
    """Refuse what is not one grey frame, before anything is decoded."""
    if dataset.pixels is None:
        raise UnsupportedImage(f"{name}: a DICOM file without an image")
    frames = dataset.numbers(_FRAMES)
    if len(frames) > 1 or any(number > 1 for number in frames):
        raise SeveralFrames
    if any(number < 0 for number in frames):
        raise DamagedDicom("its NumberOfFrames is negative")
    if not dataset.text(PHOTOMETRIC):
        raise UnsupportedImage(
            f"{name}: a DICOM file that does not say whether 0 is black or white "
            "(PhotometricInterpretation); export it again"
        )
    if dataset.text(PHOTOMETRIC) not in _MONOCHROME:
        raise UnsupportedImage(f"{name}: a DICOM file in colour; X-rays are stored as MONOCHROME")
    if dataset.whole(_CHANNELS, 1) not in (0, 1):
        raise UnreadableImage(f"{name}: damaged DICOM file (grey, but with several channels)")
    if dataset.whole(_ALLOCATED) not in (8, 16):
        raise UnsupportedImage(f"{name}: a DICOM file with samples of neither 8 nor 16 bits")


def _objections(dataset: Dataset) -> tuple[str, ...]:
    """What the elements say against a frontal chest X-ray; absent ones say nothing."""
    modality = dataset.text(_MODALITY)
    body_part = dataset.text(_BODY_PART)
    view = dataset.text(_VIEW)
    found = []
    if modality and modality not in _RADIOGRAPHS:
        known = modality in _OTHER_MODALITIES
        found.append(f"DICOM modality is {f'{modality}, ' if known else ''}not a radiograph")
    if body_part and not any(word in body_part for word in _CHEST):
        found.append("DICOM body part is not the chest")
    if view and view not in _FRONTAL:
        found.append("DICOM view position is not frontal")
    directions = _DIRECTIONS.fullmatch(dataset.text(_ORIENTATION))
    if directions and directions.groups() != _UPRIGHT:
        found.append(
            "by its DICOM patient orientation it is mirrored, rotated or lateral; export it as a "
            "viewer shows it, upright and with the patient's left on the right"
        )
    return tuple(found)


def _age(dataset: Dataset) -> float | None:
    """The patient's age in years, from dates or as it is stated; NaN where they contradict."""
    stated, from_dates = stated_age(dataset.text(_AGE)), _age_from_dates(dataset)
    if stated is None or from_dates is None:
        return from_dates if stated is None else stated
    if math.isnan(from_dates) and not any(dataset.text(tag) for tag in _DATES_TAKEN):
        return stated  # without a day of the film nothing contradicts it
    # Dates are exact, and a stated age may be that of the day on which the film was ordered.
    return from_dates if abs(stated - from_dates) <= 1 else math.nan


def stated_age(text: str) -> float | None:
    """An age as PS3.5, 6.2 says, such as ``005Y``, or nearly; NaN of other text."""
    if not text:
        return None
    found = re.fullmatch(r"0*(\d{1,3}) *([DWMY])?(EARS?)?", text)
    # 365 days, or 52 weeks, are a year.
    return round(int(found[1]) / _PER_YEAR[found[2] or "Y"], 1) if found else math.nan


def _age_from_dates(dataset: Dataset) -> float | None:
    """From the date of birth to that of the film; NaN where there is a birth and no age follows."""
    if not dataset.text(_BIRTH_DATE):
        return None
    born = _date(dataset, _BIRTH_DATE)
    taken = next(filter(None, (_date(dataset, tag) for tag in _DATES_TAKEN)), None)
    if born is None or taken is None or taken < born:
        return math.nan
    had_birthday = (taken.month, taken.day) >= (born.month, born.day)
    return float(taken.year - born.year - (not had_birthday))


def _date(dataset: Dataset, tag: Tag) -> datetime | None:
    """A date, without a time of day that follows; None where there is none, or other text."""
    try:
        text = dataset.text(tag)
        return datetime.strptime(text[:8] if tag.vr == "DT" else text.replace(".", ""), "%Y%m%d")
    except ValueError:
        return None
