import io
import zipfile
from typing import Any

import numpy as np
import pytest

from cxr_edge_runtime.bundle.arrays import pack_arrays, unpack_arrays
from cxr_edge_runtime.errors import BundleInvalid

ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 255], np.uint8)}


def unpacked(content: bytes, *names: str, max_bytes: int = 10_000) -> dict[str, Any]:
    return unpack_arrays(content, names or ("a", "b"), file="numbers.npz", max_bytes=max_bytes)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def bomb() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(1_000_000, np.float32))
    return file.getvalue()


def test_arrays_come_back_with_type_and_shape() -> None:
    found = unpacked(pack_arrays(ARRAYS))
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_same_arrays_give_the_same_bytes() -> None:
    assert pack_arrays(ARRAYS) == pack_arrays({name: a.copy() for name, a in ARRAYS.items()})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"no archive at all", "damaged"),
        (npy(np.ones(3)), "damaged"),  # numpy's other format, which is no archive
        (pack_arrays(ARRAYS)[:-30], "damaged"),
        (npz(a=np.ones(2)), "damaged"),  # b is missing
        (npz(a=np.array([{}], dtype=object), b=np.ones(1)), "damaged"),  # would need pickle
        (npz(a=np.array([np.nan]), b=np.ones(1)), "a contains values that are not finite numbers"),
        (npz(a=np.ones(1), b=np.array(["x"])), "b contains values that are not finite numbers"),
    ],
)
def test_what_is_no_such_archive_is_refused_in_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(BundleInvalid, match=rf"numbers\.npz: {reason}") as caught:
        unpacked(content)
    assert "\n" not in str(caught.value)


def test_archive_that_unpacks_to_too_much_is_refused_unread() -> None:
    content = bomb()
    assert len(content) < 10_000
    with pytest.raises(BundleInvalid, match="unpacks to 4000"):
        unpacked(content, "a")


def test_limit_on_bytes_is_exact() -> None:
    content = pack_arrays(ARRAYS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    assert set(unpacked(content, max_bytes=size)) == {"a", "b"}
    with pytest.raises(BundleInvalid, match=f"unpacks to {size} bytes, the limit is {size - 1}"):
        unpacked(content, max_bytes=size - 1)


def test_size_that_an_archive_understates_is_found() -> None:
    content = bytearray(bomb())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    with pytest.raises(BundleInvalid, match="damaged"):
        unpacked(bytes(content), "a")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.infolist()[0].file_size == 100
