"""DICOM files to grey pixels: the way in, and what is said of files that cannot be read.

Nothing of a file but its pixels leaves it, and what :mod:`.dicom_film` says of it. No message has
the value of an element, which might name a patient.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageError, UnreadableImage, UnsupportedImage, how_to_install
from cxr_edge_runtime.images.decoding_limits import too_large_for_memory

# Where the standard puts its four letters (PS3.10, section 7.1).
_MAGIC_AT, _MAGIC = 128, b"DICM"
PREAMBLE_BYTES = _MAGIC_AT + len(_MAGIC)


@dataclass(frozen=True, slots=True)
class DicomFilm:
    """The film in a DICOM file.

    Attributes:
        pixels: ``[H, W] uint8``, 0 is black.
        warnings: what had to be assumed, in text for the user.
        objections: what its elements say against a frontal chest X-ray, in text for the user.
        age: of the patient, in years; None where the file does not say, NaN where what it says
            cannot be understood.
    """

    pixels: NDArray[np.uint8]
    warnings: tuple[str, ...]
    objections: tuple[str, ...]
    age: float | None


def is_dicom(content: bytes) -> bool:
    """Return whether the bytes begin as the DICOM standard says."""
    return content[_MAGIC_AT:PREAMBLE_BYTES] == _MAGIC


def decode_dicom(content: bytes, *, name: str) -> DicomFilm:
    """Decode a DICOM file to 8-bit grey as a viewer would show it.

    Modality rescale or LUT, then VOI LUT or the first window, then inversion of MONOCHROME1
    (PS3.4, N.2). Without a window, samples of up to 8 bits are taken as they are and deeper ones
    are stretched from the lowest to the highest that occurs.

    Args:
        content: the bytes of the file.
        name: what error messages call the image.

    Raises:
        UnreadableImage: the file is damaged.
        UnsupportedImage: it has several frames or colours, or is compressed in a way that is not
            read here or takes a package that is missing.
        ImageTooLarge: as :func:`cxr_edge_runtime.images.load_grey`, as are the other two limits; or
            it has more than 16 million pixels, is compressed, and has more than 8 bits a sample.
    """
    from cxr_edge_runtime.images.dicom_elements import DamagedDicom
    from cxr_edge_runtime.images.dicom_film import read_film
    from cxr_edge_runtime.images.dicom_frame import SeveralFrames, UnsupportedFrame

    try:
        with warnings.catch_warnings():
            # pydicom warns of values that break the standard, with the values.
            warnings.simplefilter("ignore")
            return DicomFilm(*read_film(content, name))
    except ModuleNotFoundError as error:
        raise UnsupportedImage(
            f"{name}: a DICOM file needs the extra dicom; {how_to_install('dicom')}"
        ) from error
    except ImageError:
        raise
    except SeveralFrames:
        raise UnsupportedImage(
            f"{name}: a DICOM file with several frames; export the film as a single frame"
        ) from None
    except UnsupportedFrame as error:
        raise UnsupportedImage(
            f"{name}: a DICOM file with {error}, which is not supported; export it uncompressed"
        ) from None
    except DamagedDicom as error:
        raise UnreadableImage(f"{name}: damaged DICOM file ({error})") from None
    except MemoryError:
        raise too_large_for_memory(name) from None
    except Exception as error:  # its text may hold values of the file
        raise UnreadableImage(f"{name}: damaged DICOM file ({type(error).__name__})") from None
