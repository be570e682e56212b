import errno
import shutil
from types import SimpleNamespace

import pytest

from cxr_edge_convert.formats.scratch import scratch_folder


def test_failure_on_a_full_disk_says_so_and_names_the_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(OSError, match="No space") as caught, scratch_folder() as folder:
        raise RuntimeError("the file cannot be exported")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(folder))
    assert not folder.exists()


def test_failure_with_room_left_is_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="cannot be exported"), scratch_folder():
        raise RuntimeError("the file cannot be exported")
