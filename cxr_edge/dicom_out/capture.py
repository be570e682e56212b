"""A secondary capture: the film with its box, the map beside it, and the answer in words."""

from collections.abc import Sequence

import numpy as np
from highdicom.enum import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from cxr_edge.bundles.notice import notice_of
from cxr_edge.dicom_out.identity import MANUFACTURER, at_the_time_of, uid_of
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.images.heatmap import draw_heatmap
from cxr_edge_runtime.probability import digits_apart

# Behind the series of a modality, which begin with 1.
SERIES_NUMBER = 9001
# Oblique ones, such as LP, highdicom does not take.
_DIRECTIONS = frozenset("APRLHF")


def make_capture(
    source: Dataset, pixels: NDArray[np.uint8], prediction: Prediction, bundle: Bundle
) -> Dataset:
    """Make the capture of an answer, in a series of its own in the study of the film.

    Args:
        source: from :func:`cxr_edge.dicom_out.source.read_source`.
        pixels: the film ``[H, W] uint8``.
        prediction: the answer, with its map where the model gives one.
        bundle: the bundle that answered.
    """
    picture = np.asarray(_picture(pixels, prediction, bundle))
    capture = SCImage.from_ref_dataset(
        source,
        pixel_array=picture,
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=_orientation(source),
        series_instance_uid=uid_of(source, prediction, bundle, "capture series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=uid_of(source, prediction, bundle, "capture"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description="cxr-edge, research use only",
    )
    capture.Laterality = ""  # of the chest there is none; the standard wants it said
    return at_the_time_of(source, capture)


def _orientation(source: Dataset) -> tuple[str, str]:
    """As the film says; a frontal one that says nothing shows the left on the right, upright."""
    stated = source.get("PatientOrientation")
    if isinstance(stated, MultiValue) and len(stated) == 2 and set(stated) <= _DIRECTIONS:
        return str(stated[0]), str(stated[1])
    return "L", "F"


def captions(prediction: Prediction, bundle: Bundle) -> Sequence[str]:
    """The answer and what must stand beside it, a paragraph each."""
    positive, gate = bundle.manifest.positive_label, prediction.gate
    reasons = f": {'; '.join(gate.reasons)}" if gate.reasons else ""
    answer = "No answer."
    if prediction.label is not None and prediction.probability is not None:
        probability, threshold = prediction.probability, prediction.threshold
        digits = digits_apart(probability, threshold, at_least=3)
        answer = (
            f"{prediction.label}: probability of {positive} {probability:.{digits}f}, "
            f"threshold {threshold:.{digits}f}."
        )
    return (f"{answer} Input gate: {gate.verdict}{reasons}", notice_of(bundle))


def _picture(pixels: NDArray[np.uint8], prediction: Prediction, bundle: Bundle) -> Image.Image:
    positive, words = bundle.manifest.positive_label, captions(prediction, bundle)
    shown = [np.zeros((1, 1), np.float32)]
    if prediction.activation_map is not None and prediction.probability is not None:
        shown.append(prediction.activation_map)
    parts = [
        draw_heatmap(pixels, part, words, positive_label=positive, box=prediction.box)
        for part in shown
    ]
    size = (sum(part.width for part in parts), max(part.height for part in parts))
    whole, left = Image.new("RGB", size), 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width
    return whole
