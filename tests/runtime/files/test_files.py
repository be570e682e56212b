import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files import (
    file_sha256,
    left_temporaries,
    remove_temporaries,
    replacing,
    text_output,
    write_bytes,
    write_text,
)


def test_content_is_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    rename = Path.replace
    monkeypatch.setattr(os, "fsync", lambda _: order.append("content"))
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (order.append("name"), rename(path, to))[1]
    )
    write_bytes(tmp_path / "x", b"whole")
    assert order == ["content", "name"]
    assert (tmp_path / "x").read_bytes() == b"whole"


def test_text_is_written_as_given(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.txt", "line\nä\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "line\nä\n".encode()


def test_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_bytes(path, b"old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_may_be_read_by_others(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"x")
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "plain")}
    assert len(modes) == 1


def test_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", tmp_path):
        with pytest.raises(InvalidRequest, match="is not a regular file; choose another output"):
            write_bytes(target, b"x")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for _ in ("dangling", "not dangling"):
        with pytest.raises(InvalidRequest, match="is not a regular file; choose another output"):
            write_bytes(tmp_path / "link", b"x")
        assert (tmp_path / "link").is_symlink()
        (tmp_path / "real").write_bytes(b"film")
    assert (tmp_path / "real").read_bytes() == b"film"


def test_text_for_standard_output_follows_what_is_there_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "redirected").open("w+b") as file:
        file.write(b"before\n")
        file.flush()
        monkeypatch.setattr(os, "dup", lambda _, dup=os.dup: dup(file.fileno()))
        for _ in range(2):
            with text_output(Path("/dev/stdout")) as output:
                output.write("row\n")
    assert (tmp_path / "redirected").read_bytes() == b"before\nrow\nrow\n"


def test_text_output_is_there_only_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with text_output(path) as output:
        output.write("ä\n")
        assert not path.exists()
    assert path.read_bytes() == "ä\n".encode()
    with pytest.raises(RuntimeError), text_output(path) as output:
        raise RuntimeError
    assert path.read_bytes() == "ä\n".encode()


def test_the_suffix_stays_for_writers_that_look_at_it(tmp_path: Path) -> None:
    with replacing(tmp_path / "m.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.touch()


def test_only_temporaries_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), replacing(tmp_path / "model.keras") as temporary:
        left = temporary.name
        raise RuntimeError
    others = [".lock", "a-12345678.txt", ".hidden.txt"]
    for name in [left, *others]:
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, older_than_s=60)
    assert (tmp_path / left).exists()
    remove_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(others)
    remove_temporaries(tmp_path / "missing")


def test_what_is_written_so_far_is_found_by_the_name_asked_for(tmp_path: Path) -> None:
    for name in (".a-b-12345678.csv", ".x-12345678.csv", "a-12345678.csv", ".a[1]-12345678.csv"):
        (tmp_path / name).touch()
    with replacing(tmp_path / "a.csv") as temporary:
        assert left_temporaries(tmp_path / "a.csv") == [temporary]
    assert left_temporaries(tmp_path / "a.csv") == []
    assert left_temporaries(tmp_path / "a[1].csv") == [tmp_path / ".a[1]-12345678.csv"]
    assert left_temporaries(tmp_path / "missing" / "a.csv") == []


def test_temporary_that_another_process_renames_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = tmp_path / ".film-abcdefgh.png"
    going.touch()
    is_file = Path.is_file

    def renamed_after(path: Path) -> bool:
        found = is_file(path)
        path.rename(tmp_path / "film.png")
        return found

    monkeypatch.setattr(Path, "is_file", renamed_after)
    remove_temporaries(tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "film.png").exists()


def test_digest_is_that_of_all_bytes(tmp_path: Path) -> None:
    content = b"film" * 1_000_000
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_full_disk_names_the_file_that_was_asked_for(tmp_path: Path, number: int) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(OSError, match=os.strerror(number)) as caught, replacing(path):
        # Of whatever is copied, too: the system names the source.
        raise OSError(number, os.strerror(number), "source")
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert list(tmp_path.iterdir()) == []


def test_other_errors_within_are_left_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="denied") as caught, replacing(tmp_path / "a.csv"):
        raise OSError(errno.EACCES, "Permission denied", "film.png")
    assert caught.value.filename == "film.png"
