"""Named arrays in a bundle's ``.npz``: numbers, no pickle, bounded before they are unpacked."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import BundleInvalid

Numbers = np.floating | np.unsignedinteger


def pack_arrays(arrays: Mapping[str, Any]) -> bytes:
    """The bytes of an ``.npz`` of numpy arrays by name: the same arrays, the same bytes."""
    file = io.BytesIO()
    # Stored as they are: zipping takes a twentieth off a gate and costs every start.
    np.savez(file, **arrays)
    return file.getvalue()


def unpack_arrays(
    content: bytes, names: tuple[str, ...], *, file: str, max_bytes: int
) -> dict[str, NDArray[Numbers]]:
    """Read what :func:`pack_arrays` wrote.

    Args:
        content: bytes of the file.
        names: the arrays that must be there; others are not looked at.
        file: what error messages call it.
        max_bytes: the most that it may unpack to.

    Raises:
        BundleInvalid: no such archive, or one with other arrays, of other types, or too large.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            size = sum(member.file_size for member in arrays.zip.infolist())
            if size > max_bytes:
                raise BundleInvalid(f"{file}: unpacks to {size} bytes, the limit is {max_bytes}")
            found = {name: arrays[name] for name in names}
    except BundleInvalid:
        raise
    except Exception as error:  # numpy's reader of headers raises kinds that it does not document
        raise BundleInvalid(f"{file}: damaged ({error}); copy the bundle again") from None
    for name, array in found.items():
        if array.dtype.kind not in "fu" or not np.isfinite(array).all():
            raise BundleInvalid(f"{file}: {name} holds no finite numbers")
    return found
