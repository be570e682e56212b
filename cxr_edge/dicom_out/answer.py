"""Both DICOM objects of an answer, as files."""

import hashlib
import io
import threading
import warnings
from dataclasses import replace

from pydicom.dataset import Dataset

from cxr_edge.dicom_out.capture import make_capture
from cxr_edge.dicom_out.report import make_report
from cxr_edge.dicom_out.source import check_source, read_source
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError, UnsupportedImage
from cxr_edge_runtime.images import load_grey
from cxr_edge_runtime.images.decoding_limits import exclusive_if_large
from cxr_edge_runtime.images.heatmap import LONGEST

# For its first object highdicom reads a table of the standard: 130 MB for a moment and 80 from then
# on. So once, and not while a large film is decoded; nor can two threads catch warnings at once.
_one_at_a_time = threading.Lock()


def dicom_answer(
    content: bytes, prediction: Prediction, bundle: Bundle, *, name: str
) -> dict[str, bytes]:
    """Make a secondary capture and a structured report of an answer.

    Both belong to the study of the film. The same bundle answers the same film with the same bytes.

    Args:
        content: the bytes of the DICOM file that was classified.
        prediction: the answer to it, with its map where the model gives one.
        bundle: the bundle that answered.
        name: what error messages call the file.

    Returns:
        The bytes of each file by its SOP instance UID, the capture first.

    Raises:
        UnsupportedImage: it is not a DICOM file, or its header cannot be answered to.
        ImageError: it cannot be decoded.
    """
    check_source(content, name=name)
    if prediction.image_sha256 is None:  # of a film of 60 MB once is enough
        prediction = replace(prediction, image_sha256=hashlib.sha256(content).hexdigest())
    pixels = load_grey(content, name=name, least_side=LONGEST).pixels
    try:
        with exclusive_if_large(pixels=pixels.size), _one_at_a_time, warnings.catch_warnings():
            # Of names and dates that break the standard, with the values.
            warnings.simplefilter("ignore")
            source = read_source(content, name=name)
            made = (
                make_capture(source, pixels, prediction, bundle),
                make_report(source, prediction, bundle),
            )
            return {str(answer.SOPInstanceUID): _bytes(answer) for answer in made}
    except (CxrEdgeError, MemoryError, OSError):
        raise
    # Nobody lists what a header can make highdicom and pydicom raise; the text may hold a value.
    except Exception as error:
        raise UnsupportedImage(
            f"{name}: no DICOM answer can be made for its header ({type(error).__name__})"
        ) from None


def _bytes(answer: Dataset) -> bytes:
    file = io.BytesIO()
    answer.save_as(file, enforce_file_format=True)
    return file.getvalue()
