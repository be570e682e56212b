import errno
import os
import tempfile
from pathlib import Path

import pytest

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files.outputs import (
    begins_with,
    check_apart,
    check_file,
    check_folder,
    is_stdout,
)

FILM = b"\xff\xd8\xff\xe0 a film"
STDOUT = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/../dev/stdout"]
OURS = begins_with(b"path,split")


def check(path: Path, **more: bool) -> None:
    check_file(path, "a splits file", ours=OURS, **more)


def check_one(path: Path, **more: bool) -> None:
    check_folder(path, "a run", ours=lambda folder: (folder / "run.json").exists(), **more)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.jpeg"
    path.write_bytes(FILM)
    return path


def test_file_may_be_missing_empty_or_ours_and_checking_makes_nothing(tmp_path: Path) -> None:
    check(tmp_path / "new" / "folders" / "s.csv")
    assert not list(tmp_path.iterdir())
    (tmp_path / "s.csv").touch()
    check(tmp_path / "s.csv")
    (tmp_path / "s.csv").write_text("path,split\n")
    check(tmp_path / "s.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_another_file_is_refused(film: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check(film)
    assert str(caught.value) == (
        f"{film}: already exists and is not a splits file; choose another output"
    )


def test_file_that_cannot_be_read_is_not_taken_for_ours(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidRequest, match="is not a splits file"):
        check(film)


@pytest.mark.parametrize("to", ["film.jpeg", "nowhere", "ours", ".", "link"])
def test_link_is_refused_wherever_it_leads(film: Path, to: str) -> None:
    (film.parent / "ours").write_text("path,split\n")
    link = film.with_name("link")
    link.symlink_to(to)
    for refuse in (check, check_one):
        with pytest.raises(InvalidRequest, match="is a symbolic link"):
            refuse(link)
    with pytest.raises(InvalidRequest, match="is a symbolic link"):
        check_one(link, anew=True)


def test_folder_device_and_pipe_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for other in (Path("/dev/null"), Path("/dev/full"), tmp_path / "pipe"):
        with pytest.raises(InvalidRequest, match="is a device, pipe or socket; choose"):
            check(other)
        with pytest.raises(InvalidRequest, match="is a device, pipe or socket, not a folder"):
            check_one(other)
    with pytest.raises(InvalidRequest, match="is a folder; name the file to write"):
        check(tmp_path)


@pytest.mark.parametrize("name", STDOUT)
def test_standard_output_is_taken_only_where_it_makes_sense(name: str) -> None:
    assert is_stdout(Path(name))
    check(Path(name), stdout=True)
    with pytest.raises(InvalidRequest, match="a splits file cannot be written to standard output"):
        check(Path(name))
    with pytest.raises(InvalidRequest, match="not a folder; choose another output"):
        check_one(Path(name))


def test_other_names_are_not_standard_output(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    for path in (None, Path("-"), Path("stdout"), Path("/dev/stderr"), tmp_path / "link"):
        assert not is_stdout(path)


@pytest.mark.parametrize("name", ["x", "new/x", "new/folders/x"])
def test_place_that_cannot_be_written_is_refused(film: Path, name: str) -> None:
    dangling = film.with_name("dangling")
    dangling.symlink_to("nowhere")
    for place in (Path("/proc"), film, dangling):
        for refuse in (check, check_one):
            with pytest.raises(InvalidRequest, match="choose another output") as caught:
                refuse(place / name)
            assert str(caught.value).startswith(f"{place / name}: ")


@pytest.mark.parametrize(
    ("number", "refused"), [(errno.EACCES, True), (errno.EROFS, True), (errno.ENOSPC, False)]
)
def test_folder_without_rights_is_refused_and_a_full_disk_is_left_to_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, refused: bool
) -> None:
    (tmp_path / "there").mkdir()
    tried = []

    def fail(dir: Path, prefix: str) -> None:
        tried.append(dir)
        raise OSError(number, "no")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)  # tests of root may write everywhere
    checks = [
        lambda: check(tmp_path / "s.csv"),
        lambda: check_one(tmp_path / "new" / "run"),
        lambda: check_one(tmp_path / "there"),
        lambda: check_one(tmp_path / "there", anew=True),
    ]
    for refuse in checks:
        if refused:
            with pytest.raises(InvalidRequest, match=r"cannot be written \(.*: no\); choose"):
                refuse()
        else:
            refuse()
    assert tried == [tmp_path, tmp_path, tmp_path / "there", tmp_path]


def test_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for refuse in (check, check_one):
        with pytest.raises(InvalidRequest, match="File name too long"):
            refuse(tmp_path / ("x" * 300))


def test_folder_may_be_missing_empty_or_ours(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    check_one(folder)
    folder.mkdir()
    check_one(folder)
    (folder / ".lock").touch()
    check_one(folder)
    (folder / "film.jpeg").write_bytes(FILM)
    with pytest.raises(InvalidRequest) as caught:
        check_one(folder)
    assert str(caught.value) == (
        f"{folder}: already exists and is not a run, since it contains film.jpeg; choose another "
        "output"
    )
    (folder / "run.json").touch()
    check_one(folder)
    with pytest.raises(InvalidRequest, match="is a file, not a folder"):
        check_one(film)


def test_folder_that_is_made_anew_may_hold_nothing_hidden(tmp_path: Path) -> None:
    (tmp_path / ".film.jpeg").write_bytes(FILM)
    with pytest.raises(InvalidRequest, match=r"since it contains \.film\.jpeg"):
        check_one(tmp_path, anew=True)


def test_current_folder_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder in (".", "..", tmp_path):
        with pytest.raises(InvalidRequest, match="contains the current folder"):
            check_one(Path(folder), anew=True)
    check_one(Path("new"), anew=True)
    check_one(Path())


def test_output_lies_in_nothing_that_is_read(film: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "link").symlink_to(run)
    for output in (run, run / "new" / "out", tmp_path / "link" / "out"):
        with pytest.raises(InvalidRequest, match=f"is or lies in {run}, which is an input"):
            check_apart(output, film, run)
    with pytest.raises(InvalidRequest, match="is or lies in"):
        check_apart(run / "out", tmp_path / "link")
    check_apart(tmp_path / "out", run)
    check_apart(tmp_path / "tiny" / "out", tmp_path / "tiny")  # a name, not a folder
