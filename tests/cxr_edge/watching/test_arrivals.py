import errno
import os
from pathlib import Path
from typing import Any

import pytest

from cxr_edge.watching.arrivals import Arrivals


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(tmp_path: Path, clock: Clock) -> Arrivals:
    return Arrivals(tmp_path, settle_s=5, clock=clock)


def names(arrivals: Arrivals) -> list[str]:
    return [path.name for path, _ in arrivals.settled()]


def test_file_is_whole_when_it_has_not_changed_for_a_while(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    film = tmp_path / "ward" / "a.dcm"
    film.parent.mkdir()
    film.write_bytes(b"half")
    assert names(arrivals) == []
    clock.now = 4.9
    film.write_bytes(b"a whole film")
    assert names(arrivals) == []
    clock.now = 9.8
    assert names(arrivals) == []
    clock.now = 10
    assert names(arrivals) == ["a.dcm"]
    arrivals.forget(film)
    assert names(arrivals) == []


def test_time_alone_counts_as_a_change(tmp_path: Path, arrivals: Arrivals, clock: Clock) -> None:
    film = tmp_path / "a.dcm"
    film.write_bytes(b"film")
    arrivals.settled()
    os.utime(film, (1, 1))
    clock.now = 5
    assert names(arrivals) == []


def test_oldest_comes_first_and_hidden_files_and_links_never(
    tmp_path: Path, arrivals: Arrivals, clock: Clock
) -> None:
    for name, time in (("b.dcm", 1), ("a.dcm", 2), (".part.dcm", 0), (".tmp", 0)):
        (tmp_path / name).write_bytes(b"film")
        os.utime(tmp_path / name, (time, time))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "c.dcm").touch()
    (tmp_path / "link.dcm").symlink_to(tmp_path / "a.dcm")
    arrivals.settled()
    clock.now = 5
    assert names(arrivals) == ["b.dcm", "a.dcm"]


def test_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Arrivals(tmp_path / "gone", settle_s=0).settled()


def test_folder_that_cannot_be_read_keeps_no_other_back(
    tmp_path: Path, arrivals: Arrivals, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ward").mkdir()
    (tmp_path / "a.dcm").touch()
    scandir = os.scandir

    def refusing(folder: Path) -> Any:
        if Path(folder).name == "ward":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    arrivals.settled()
    clock.now += 60
    assert [path.name for path, _ in arrivals.settled()] == ["a.dcm"]
    assert arrivals.unreadable == {tmp_path / "ward": "Permission denied"}
