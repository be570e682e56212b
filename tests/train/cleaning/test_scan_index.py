import contextlib
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxr_edge_train.cleaning import scan_index
from cxr_edge_train.cleaning.reading import READER, FileFacts
from cxr_edge_train.cleaning.scan_index import FILE_NAME, ScanIndex, Stamp

STAMP = Stamp("/films/a.png", 10, 1, 2)
FACTS = FileFacts("0f", 10, 64, 65, "L", 5.25, b"\x00\xff")


def reopened(folder: Path) -> dict[Stamp, FileFacts]:
    index = ScanIndex(folder)
    assert index.failure == ""
    found = index.look_up([STAMP])
    index.close()
    return found


def test_what_was_stored_is_found(tmp_path: Path) -> None:
    index = ScanIndex(tmp_path / "new" / "cache")
    index.store([(STAMP, FACTS)])
    assert index.look_up([STAMP, Stamp("/films/b.png", 1, 1, 1)]) == {STAMP: FACTS}
    index.close()
    assert reopened(tmp_path / "new" / "cache") == {STAMP: FACTS}


@pytest.mark.parametrize("change", [{"size": 11}, {"modified_ns": 3}, {"changed_ns": 3}])
def test_changed_file_is_not_found(tmp_path: Path, change: dict[str, int]) -> None:
    index = ScanIndex(tmp_path)
    index.store([(STAMP, FACTS)])
    assert index.look_up([STAMP._replace(**change)]) == {}
    index.close()


def test_facts_of_another_reader_are_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ScanIndex(tmp_path)
    monkeypatch.setattr(scan_index, "_STORE", scan_index._STORE.replace(f"'{READER}", "'another"))
    index.store([(STAMP, FACTS)])
    assert index.look_up([STAMP]) == {}
    index.close()


def test_file_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    index = ScanIndex(tmp_path)
    index.store([(STAMP, FileFacts("", error="permission denied"))])
    assert index.look_up([STAMP]) == {}
    index.close()


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"x" * 200]
)
def test_damaged_index_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    index = ScanIndex(tmp_path)
    assert index.failure == ""
    index.store([(STAMP, FACTS)])
    index.close()
    assert reopened(tmp_path) == {STAMP: FACTS}


def test_index_that_another_holds_is_waited_for_and_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ScanIndex(tmp_path)
    index.store([(STAMP, FACTS)])
    index.close()
    monkeypatch.setattr(scan_index, "_BUSY_S", 0.0)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        given_up = ScanIndex(tmp_path)
        assert "database is locked; every image is read" in given_up.failure
        assert given_up.look_up([STAMP]) == {}
        monkeypatch.setattr(scan_index, "_BUSY_S", 30.0)
        connect = sqlite3.connect
        # SQLite itself would wait, too, in most cases.
        monkeypatch.setattr(sqlite3, "connect", lambda file, timeout: connect(file, timeout=0.0))
        monkeypatch.setattr(time, "sleep", lambda _: other.close())
        assert reopened(tmp_path) == {STAMP: FACTS}


def test_damage_met_later_ends_its_use_and_the_next_run_starts_anew(tmp_path: Path) -> None:
    index = ScanIndex(tmp_path)
    index.store([(Stamp(f"/{number}", 1, 1, 1), FACTS) for number in range(2_000)])
    index.close()
    file = tmp_path / FILE_NAME
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xaa" * (len(content) - 8192)
    file.write_bytes(content)
    index = ScanIndex(tmp_path)
    assert index.look_up([Stamp(f"/{number}", 1, 1, 1) for number in range(100)]) == {}
    assert "every image is read" in index.failure
    index.store([(STAMP, FACTS)])
    assert reopened(tmp_path) == {}


def test_folder_that_cannot_be_made_is_told_and_tolerated(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    index = ScanIndex(tmp_path / "cache")
    assert FILE_NAME in index.failure
    assert index.look_up([STAMP]) == {}
    index.store([(STAMP, FACTS)])
    index.close()


def test_index_that_cannot_be_opened_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited"))
    index = ScanIndex(tmp_path)
    assert "unable to open database file; every image is read" in index.failure
    assert (tmp_path / FILE_NAME).is_dir()


def test_index_of_another_layout_is_tolerated(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("CREATE TABLE facts (file)")
    connection.close()
    index = ScanIndex(tmp_path)
    assert index.look_up([STAMP]) == {}
    assert "no such column" in index.failure


def test_two_runs_share_an_index(tmp_path: Path) -> None:
    def fill(run: int) -> str:
        index = ScanIndex(tmp_path)
        for number in range(50):
            index.store([(Stamp(f"/{run}/{number}", 1, 1, 1), FACTS)])
        index.close()
        return index.failure

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fill, range(4))) == [""] * 4
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (200,)
    connection.close()
