"""DICOM films that tests write with pydicom."""

import io
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

RAMP = np.linspace(0, 4095, 80 * 64).round().astype(np.uint16).reshape(80, 64)
PATIENT = "DOE^JANE"


def written(
    samples: np.ndarray = RAMP, *, syntax: str = ExplicitVRLittleEndian, **tags: Any
) -> bytes:
    """A DICOM file with these samples, 12 of 16 bits stored unless ``tags`` say otherwise."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PATIENT, "4711", "19700101"
    dataset.StudyDate = "19740101"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "DX", "CHEST", "PA"
    dataset.Rows, dataset.Columns = samples.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * samples.dtype.itemsize
    dataset.BitsStored = 12 if dataset.BitsAllocated == 16 else 8
    dataset.PixelRepresentation = int(samples.dtype.kind == "i")
    for name, value in tags.items():
        setattr(dataset, name, value)
    if "HighBit" not in tags:
        dataset.HighBit = dataset.BitsStored - 1
    if "PixelData" not in tags:
        dataset.PixelData = samples.tobytes()
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 else "OB"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def jpeg(samples: np.ndarray, **options: Any) -> bytes:
    """A frame of the best quality."""
    file = io.BytesIO()
    Image.fromarray(samples).save(file, "JPEG", **{"quality": 100} | options)
    return file.getvalue()
