"""Named arrays in the ``.npz`` files of a bundle: no pickles, and bounded before unpacking."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.errors import BundleInvalid

Numbers = np.floating | np.unsignedinteger


def pack_arrays(arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of an ``.npz`` of numpy arrays by name; equal arrays give equal bytes."""
    file = io.BytesIO()
    # Stored as they are: zipping takes a twentieth off a gate and costs every start.
    np.savez(file, **arrays)
    return file.getvalue()


def unpack_arrays(
    content: bytes,
    names: tuple[str, ...],
    *,
    file: str,
    max_bytes: int,
    optional: tuple[str, ...] = (),
) -> dict[str, NDArray[Numbers]]:
    """Read what :func:`pack_arrays` wrote.

    Args:
        content: the bytes of the file.
        names: the arrays that must be there; others are ignored.
        file: what error messages call the file.
        max_bytes: the most bytes that it may unpack to.
        optional: arrays that are read where they are there.

    Returns:
        The arrays by name, in the order of ``names``; all values are finite.

    Raises:
        BundleInvalid: it is not such an archive, or has other arrays, other types, or is too large.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            size = sum(member.file_size for member in arrays.zip.infolist())
            if size > max_bytes:
                raise BundleInvalid(f"{file}: unpacks to {size} bytes, the limit is {max_bytes}")
            there = tuple(name for name in optional if name in arrays)
            found = {name: arrays[name] for name in names + there}
    except BundleInvalid:
        raise
    except Exception as error:  # numpy's reader of headers raises kinds that it does not document
        raise BundleInvalid(f"{file}: damaged ({error}); copy the bundle again") from None
    for name, array in found.items():
        if array.dtype.kind not in "fu" or not np.isfinite(array).all():
            raise BundleInvalid(f"{file}: {name} contains values that are not finite numbers")
    return found
