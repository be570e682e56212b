"""From the stored samples of a DICOM film to 8-bit greys, as PS3.4, N.2 of the standard says.

A table has the grey of every value that a sample can have, so the film is never held as numbers of
more bits; it is looked up a part at a time.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.images.dicom_decompression import FrameShape
from cxr_edge_runtime.images.dicom_elements import DamagedDicom, Dataset, Tag
from cxr_edge_runtime.images.dicom_frame import Samples

PHOTOMETRIC = Tag(0x00280004, "PhotometricInterpretation", "CS")
HIGH_BIT = Tag(0x00280102, "HighBit", "US")
_PADDING = Tag(0x00280120, "PixelPaddingValue", "US")
_PADDING_LIMIT = Tag(0x00280121, "PixelPaddingRangeLimit", "US")
_CENTER = Tag(0x00281050, "WindowCenter", "DS")
_WIDTH = Tag(0x00281051, "WindowWidth", "DS")
_INTERCEPT = Tag(0x00281052, "RescaleIntercept", "DS")
_SLOPE = Tag(0x00281053, "RescaleSlope", "DS")
_FUNCTION = Tag(0x00281056, "VOILUTFunction", "CS")
_MODALITY_LUT = Tag(0x00283000, "ModalityLUTSequence", "SQ")
_VOI_LUT = Tag(0x00283010, "VOILUTSequence", "SQ")
_LUT_DESCRIPTOR = Tag(0x00283002, "LUTDescriptor", "US")
_LUT_DATA = Tag(0x00283006, "LUTData", "OW")
# What this module asks for.
TAGS = (
    PHOTOMETRIC, HIGH_BIT, _PADDING, _PADDING_LIMIT, _CENTER, _WIDTH, _INTERCEPT, _SLOPE, _FUNCTION,
    _MODALITY_LUT, _VOI_LUT, _LUT_DESCRIPTOR, _LUT_DATA,
)  # fmt: skip

# Samples of so few bits need no window.
_DISPLAY_BITS = 8
# No modality value of a film is larger; computing with ever larger ones ends in no number.
_MAX_VALUE = 1e30
# Samples that are looked up at once: 2 MB as indices.
_AT_ONCE = 2**18


def to_greys(
    dataset: Dataset, samples: Samples, shape: FrameShape
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Turn stored samples to greys.

    Args:
        dataset: the elements of the file.
        samples: the samples as they are stored.
        shape: what the elements say of them.

    Returns:
        The greys ``[H, W] uint8``, 0 is black; and what had to be assumed, in text for the user.

    Raises:
        DamagedDicom: the elements contradict each other or the standard.
    """
    cells = samples.cells
    values, bits = _stored_values(dataset, samples, shape)
    table = _after_modality(dataset, values)
    if abs(table).max() > _MAX_VALUE:
        raise DamagedDicom("its rescaled samples are too large")
    assumed: tuple[str, ...] = ()
    lut = dataset.first_item(_VOI_LUT)
    if lut is not None:
        shown = _through_voi_lut(lut, table)
    elif (centers := dataset.numbers(_CENTER)) and (widths := dataset.numbers(_WIDTH)):
        shown = _through_window(dataset, table, centers[0], widths[0])
    else:
        occurs = _occurring(cells)
        occurring = table[occurs]
        if bits <= _DISPLAY_BITS and occurring.min() >= 0 and occurring.max() < 2**bits:
            shown = table / (2**bits - 1)
        else:
            shown = _stretched(dataset, values, table, occurs, shape)
            assumed = ("no window in the DICOM file: greys were stretched from lowest to highest",)
    if dataset.text(PHOTOMETRIC) == "MONOCHROME1":
        shown = 1 - shown
    greys = np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    film = np.empty(cells.shape, np.uint8)
    for part in _parts(cells):
        # No cell is beyond the table; to check it would copy the part.
        np.take(greys, cells.reshape(-1)[part], out=film.reshape(-1)[part], mode="clip")
    return film, assumed


def _stored_values(
    dataset: Dataset, samples: Samples, shape: FrameShape
) -> tuple[NDArray[np.int32], int]:
    """The sample in every cell that there can be, and its bits.

    What lies above and below the bits of a sample may be an overlay, or anything (PS3.5, 8.1.1).
    """
    high = dataset.whole(HIGH_BIT, shape.stored - 1)
    if not shape.stored - 1 <= high < shape.allocated:
        high = shape.stored - 1  # it says nothing
    # A code of fewer bits has no room for others.
    high = min(high, samples.precision - 1)
    bits = min(shape.stored, high + 1)
    cells = np.arange(2 ** (8 * samples.cells.itemsize), dtype=np.int32)
    values = (cells >> (high + 1 - bits)) & (2**bits - 1)
    if shape.signed:
        values -= (values >> (bits - 1)) << bits
    return values, bits


def _occurring(cells: NDArray[Any]) -> NDArray[np.bool_]:
    """Which cells occur in the film."""
    occurs = np.zeros(2 ** (8 * cells.itemsize), bool)
    for part in _parts(cells):
        occurs[cells.reshape(-1)[part]] = True
    return occurs


def _parts(cells: NDArray[Any]) -> list[slice]:
    return [slice(start, start + _AT_ONCE) for start in range(0, cells.size, _AT_ONCE)]


def _after_modality(dataset: Dataset, values: NDArray[np.int32]) -> NDArray[Any]:
    lut = dataset.first_item(_MODALITY_LUT)
    if lut is not None:
        entries, first, _ = _lut(lut, values)
        looked_up: NDArray[Any] = entries[np.clip(values - first, 0, len(entries) - 1)]
        return looked_up
    slope, intercept = dataset.numbers(_SLOPE), dataset.numbers(_INTERCEPT)
    if slope and intercept:
        with np.errstate(over="ignore"):
            return values * slope[0] + intercept[0]
    return values


def _through_voi_lut(item: Dataset, table: NDArray[Any]) -> NDArray[np.float64]:
    entries, first, bits = _lut(item, table)
    if table.max() - table.min() < 1:
        raise DamagedDicom("its VOI LUT needs whole values, but all of its values lie within one")
    places = np.clip(np.round(table) - first, 0, len(entries) - 1).astype(np.int32)
    return np.asarray(entries[places] / (2**bits - 1))


def _lut(item: Dataset, table: NDArray[Any]) -> tuple[NDArray[np.uint16], int, int]:
    """Entries of a lookup table (PS3.3, C.11.1.1 and C.11.2.1.1).

    Args:
        item: the item of the sequence.
        table: all values that are to be looked up.

    Returns:
        The entries; the value that the first one belongs to; and how many bits they have.
    """
    descriptor, data = item.get(_LUT_DESCRIPTOR), item.get(_LUT_DATA)
    numbers = item.numbers(_LUT_DESCRIPTOR)
    if descriptor is None or data is None or len(numbers) != 3:
        raise DamagedDicom("its LUT is incomplete")
    count, first, bits = map(int, numbers)
    # The number of entries is never signed, whatever the other two are.
    count = count & 0xFFFF or 0x10000
    if not 8 <= bits <= 16:
        raise DamagedDicom("its LUT has entries of fewer than 8 or more than 16 bits")
    # What states no value representation is signed where values are; and what states that it is
    # not signed, but begins beyond all values, means the same.
    is_open = descriptor.vr in ("", "UN") and table.min() < 0
    if first > 0x7FFF and (is_open or first > table.max()):
        first -= 0x10000
    n_bytes, order = len(data.value), ">" if item.big_endian else "<"
    if n_bytes >= 2 * count:
        entries = np.frombuffer(data.value, f"{order}u2", count)
    elif bits == 8 and n_bytes >= count and data.vr == "OB":
        entries = np.frombuffer(data.value, np.uint8, count)
    elif bits == 8 and n_bytes >= count + count % 2:
        # Two entries in a word, the first of them in its lower half.
        words = np.frombuffer(data.value, f"{order}u2", (count + 1) // 2)
        entries = words.astype("<u2").view(np.uint8)[:count]
    else:
        raise DamagedDicom("its LUT is shorter than stated")
    return entries.astype(np.uint16), first, bits


def _through_window(
    dataset: Dataset, table: NDArray[Any], center: float, width: float
) -> NDArray[np.float64]:
    """By the first window, as PS3.3, C.11.2.1.2 and C.11.2.1.3 say."""
    function = dataset.text(_FUNCTION) or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise DamagedDicom("its VOI LUT function is not a standard one")
    if width <= 0:
        raise DamagedDicom("its window has no width")
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-4 * (table - center) / width)))
    if function == "LINEAR" and table.max() - table.min() > 1:
        # It counts whole values, half of one at either end, but where all lie within one.
        if width < 1:
            raise DamagedDicom("its window is narrower than one value")
        center, width = center - 0.5, width - 1
    if width == 0:
        return np.asarray(table > center, np.float64)
    with np.errstate(over="ignore"):
        return np.asarray((table - center) / width + 0.5)


def _stretched(
    dataset: Dataset,
    values: NDArray[np.int32],
    table: NDArray[Any],
    occurs: NDArray[np.bool_],
    shape: FrameShape,
) -> NDArray[np.float64]:
    """From the lowest value that occurs, but for padding, to the highest."""
    padding = dataset.numbers(_PADDING, signed=shape.signed)[:1]
    limit = dataset.numbers(_PADDING_LIMIT, signed=shape.signed)[:1]
    if padding:
        ends = padding + limit
        film = occurs & ~((values >= min(ends)) & (values <= max(ends)))
        occurs = film if film.any() else occurs
    black, white = float(table[occurs].min()), float(table[occurs].max())
    return (table - black) / ((white - black) or 1.0)
