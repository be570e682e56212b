import errno
import os
from pathlib import Path

import pytest

from cxr_edge.bundles.full_disk import full_disk_explained


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_error_of_a_full_disk_names_the_path(number: int) -> None:
    words = f"{os.strerror(number)}; make room: 'here'"
    with (
        pytest.raises(OSError, match=words) as raised,
        full_disk_explained(Path("here"), "make room"),
    ):
        raise OSError(number, os.strerror(number))
    assert raised.value.errno == number


def test_other_errors_are_left_alone() -> None:
    error = OSError(errno.EIO, "Input/output error", "file")
    with (
        pytest.raises(OSError, match="file") as raised,
        full_disk_explained(Path("here"), "make room"),
    ):
        raise error
    assert raised.value is error
