"""DICOM files to grey pixels; with :mod:`dicom_decompression` all that knows pydicom.

Nothing of the file but pixels and the words of this module leaves it: no value of an element, which
might name a patient, stands in any message.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import ImageError, UnreadableImage, UnsupportedImage
from cxr_edge_runtime.images.decoding_limits import (
    MeteredBytes,
    check_size,
    exclusive_if_large,
    too_large_for_memory,
)

# Where the standard puts its four letters (PS3.10, section 7.1).
_MAGIC_AT, _MAGIC = 128, b"DICM"
PREAMBLE_BYTES = _MAGIC_AT + len(_MAGIC)
# Elements are read in a few steps each and kept as objects of some hundred bytes; films have some
# hundred elements.
_MAX_READS = 200_000
# Computed and digital radiography, and radiography without saying which.
_RADIOGRAPHS = frozenset({"CR", "DX", "RG"})
_CHEST = ("CHEST", "THORAX", "LUNG")
# Frontal views by the codes of PS3.3, C.8.7.1.1.1 and C.8.11.5.1.
_FRONTAL = frozenset({"AP", "PA"})
# Explicit VR little endian, deflated: a small file of it may fill any memory.
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
# Samples of so few bits need no window.
_DISPLAY_BITS = 8


@dataclass(frozen=True, slots=True)
class DicomFilm:
    """What a DICOM file holds.

    Attributes:
        pixels: ``[H, W] uint8``, 0 is black.
        warnings: what had to be assumed, in words.
        objections: why the file says that it holds no frontal chest X-ray, in words.
    """

    pixels: NDArray[np.uint8]
    warnings: tuple[str, ...]
    objections: tuple[str, ...]


def is_dicom(content: bytes) -> bool:
    """Whether a file's bytes begin as the DICOM standard says."""
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
        UnreadableImage: damaged.
        UnsupportedImage: several frames, colour, or a package is missing that reads it.
        ImageTooLarge: as :func:`cxr_edge_runtime.images.load_grey`, as are the other two limits.
    """
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise UnsupportedImage(
            f"{name}: is a DICOM file; to read it run: pip install 'cxr-edge[dicom]'"
        ) from error
    if _DEFLATED in content:
        raise UnsupportedImage(f"{name}: a deflated DICOM file; export it uncompressed or as JPEG")
    with warnings.catch_warnings():
        # pydicom warns of values that break the standard, with the values.
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(MeteredBytes(content, name, max_reads=_MAX_READS))
            _check(dataset, name)
            size = int(dataset.Columns), int(dataset.Rows)
            check_size(size, name)
            with exclusive_if_large(pixels=size[0] * size[1]):
                samples = _samples(dataset, content, name)
                greys, assumed = _greys(dataset, samples)
            return DicomFilm(greys, assumed, _objections(dataset))
        except ImageError:
            raise
        except MemoryError:
            raise too_large_for_memory(name) from None
        except Exception as error:  # whatever pydicom raises, its text may hold the file's values
            raise UnreadableImage(f"{name}: damaged DICOM file ({type(error).__name__})") from None


def _check(dataset: Any, name: str) -> None:
    """Refuse what is not one grey frame, before anything is decoded."""
    if "PixelData" not in dataset:
        raise UnsupportedImage(f"{name}: a DICOM file without an image")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise UnsupportedImage(
            f"{name}: a DICOM file with several frames, and no one frame is the film; export one"
        )
    if dataset.get("PhotometricInterpretation") not in _MONOCHROME:
        raise UnsupportedImage(f"{name}: a DICOM file in colour; X-rays are stored as MONOCHROME")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise UnreadableImage(f"{name}: damaged DICOM file (grey, but of several channels)")
    if int(dataset.BitsAllocated) not in (8, 16):
        raise UnsupportedImage(f"{name}: DICOM samples that are not of 8 or 16 bits")


def _samples(dataset: Any, content: bytes, name: str) -> NDArray[Any]:
    """The stored samples ``[H, W]``, decompressed."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        from cxr_edge_runtime.images.dicom_decompression import decompressed

        samples = decompressed(content, name)
    else:
        samples = dataset.pixel_array
    if samples.shape != (int(dataset.Rows), int(dataset.Columns)):
        raise UnreadableImage(f"{name}: damaged DICOM file (its frame is of another size)")
    return samples


def _greys(dataset: Any, samples: NDArray[Any]) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """8-bit greys, and what had to be assumed for them."""
    low, high = int(samples.min()), int(samples.max())
    assumed: tuple[str, ...] = ()
    # A table of every sample that occurs: the film itself is never held as floating point.
    table = _after_modality(dataset, np.arange(low, high + 1, dtype=np.int32))
    if dataset.get("VOILUTSequence"):
        shown = _through_lut(dataset, table)
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        shown = _through_window(dataset, table)
    elif _is_displayable(dataset, table):
        shown = table / (2 ** int(dataset.BitsStored) - 1)
    else:
        shown = _stretched(dataset, samples, table)
        assumed = ("no window in the DICOM file: greys were stretched from lowest to highest",)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    greys = np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    return greys[samples.astype(np.int32) - low], assumed


def _is_displayable(dataset: Any, table: NDArray[Any]) -> bool:
    """Whether modality values are greys as they are."""
    bits = int(dataset.BitsStored)
    return bits <= _DISPLAY_BITS and bool(table.min() >= 0) and bool(table.max() < 2**bits)


def _after_modality(dataset: Any, table: NDArray[np.int32]) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_modality_lut

    return np.asarray(apply_modality_lut(table, dataset))


def _through_lut(dataset: Any, table: NDArray[Any]) -> NDArray[np.float64]:
    from pydicom.pixels.processing import apply_voi

    bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
    # Its entries are counted in whole modality values.
    shown = apply_voi(np.round(table).astype(np.int32), dataset)
    greys: NDArray[np.float64] = np.asarray(shown, dtype=np.float64) / (2**bits - 1)
    return greys


def _through_window(dataset: Any, table: NDArray[Any]) -> NDArray[np.float64]:
    from pydicom.pixels.processing import apply_windowing

    shown = np.asarray(apply_windowing(table, dataset))
    with np.errstate(over="ignore"):  # of the sigmoid function
        black, white = apply_windowing(np.array([-1e9, 1e9]), dataset)
    greys: NDArray[np.float64] = (shown - black) / (white - black)
    return greys


def _stretched(dataset: Any, samples: NDArray[Any], table: NDArray[Any]) -> NDArray[np.float64]:
    padding = dataset.get("PixelPaddingValue")
    film = samples if padding is None else samples[samples != padding]
    if not film.size:
        film = samples
    first = int(samples.min())
    ends = table[int(film.min()) - first], table[int(film.max()) - first]
    black, white = float(min(ends)), float(max(ends))
    return (table - black) / max(white - black, 1.0)


def _objections(dataset: Any) -> tuple[str, ...]:
    """What the file's own words say against a frontal chest X-ray; absent words say nothing."""
    modality = str(dataset.get("Modality") or "").upper()
    body_part = str(dataset.get("BodyPartExamined") or "").upper()
    view = str(dataset.get("ViewPosition") or "").upper()
    found = []
    if modality and modality not in _RADIOGRAPHS:
        found.append("the DICOM file says that it is no radiograph")
    if body_part and not any(word in body_part for word in _CHEST):
        found.append("the DICOM file says that it shows another part of the body")
    if view and view not in _FRONTAL:
        found.append("the DICOM file says that it is no frontal view")
    return tuple(found)
