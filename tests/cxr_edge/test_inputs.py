import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cxr_edge.inputs import expand
from cxr_edge_runtime.errors import ImageNotFound, ImageNotReadable


def test_files_pass_as_they_are_even_when_missing(tmp_path: Path) -> None:
    given = [tmp_path / "b.txt", tmp_path / "a.png"]
    assert list(expand(given)) == [(path, None) for path in given]


def test_folder_gives_its_images_by_name(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.png", ".hidden.png"):
        Image.new("L", (64, 64)).save(tmp_path / name)
    (tmp_path / "note.txt").touch()
    (tmp_path / "deeper").mkdir()
    assert [path.name for path, _ in expand([tmp_path])] == ["a.png", "b.PNG"]


def test_name_the_system_refuses_is_left_to_the_reader(tmp_path: Path) -> None:
    [(_, error)] = expand([tmp_path / ("x" * 300)])
    assert isinstance(error, ImageNotReadable)
    [(_, error)] = expand([tmp_path / "a\0b"])
    assert error is None or isinstance(error, ImageNotReadable)


def test_folders_in_a_folder_are_searched_when_asked(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/c/3.png", "1.png", ".hidden/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path, _ in expand([tmp_path], recursive=True)]
    assert found == ["1.png", "b/2.png", "b/c/3.png"]
    assert [path.name for path, _ in expand([tmp_path])] == ["1.png"]


def test_patterns_the_shell_left_alone_are_matched(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "c.txt", "[x].png"):
        (tmp_path / name).touch()
    assert [path.name for path, _ in expand([tmp_path / "?.png"])] == ["a.png", "b.png"]
    # A file of that very name goes before a pattern.
    assert [path.name for path, _ in expand([tmp_path / "[x].png"])] == ["[x].png"]
    assert list(expand([tmp_path / "*.bmp"])) == [(tmp_path / "*.bmp", None)]


def test_pattern_of_any_folders_finds_each_film_once_where_links_go_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/b/1.png", "a/b/c/2.png", "3.png", "elsewhere/4.png", ".hidden/5.png"):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / name).touch()
    (tmp_path / "films/elsewhere").rename(tmp_path / "elsewhere")
    (tmp_path / "films/z").symlink_to(tmp_path / "elsewhere")
    for number in range(8):  # glob.glob would search 8^40 folders
        (tmp_path / "films/a" / f"loop{number}").symlink_to(tmp_path / "films")
    found = ["3.png", "a/b/1.png", "a/b/c/2.png", "z/4.png"]
    for pattern in ("**/*.png", "**/**/*.png"):
        paths = [path for path, _ in expand([tmp_path / "films" / pattern])]
        assert paths == [tmp_path / "films" / name for name in found]
    monkeypatch.chdir(tmp_path / "films")
    assert [str(path) for path, _ in expand([Path("**/*.png")])] == found
    assert [path.name for path, _ in expand([Path("a/**/c/?.png")])] == ["2.png"]
    assert {path.name for path, _ in expand([Path("a/b/**")])} == {"1.png", "2.png"}


def test_dash_reads_paths_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.png").touch()
    lines = io.StringIO(f"{tmp_path}/x y.png\r\n\n{tmp_path}/folder\n-\n")
    found = [path for path, _ in expand([Path("-")], stdin=lines)]
    assert found == [tmp_path / "x y.png", tmp_path / "folder" / "a.png", Path("-")]


def test_dicom_files_are_found_with_and_without_a_suffix(tmp_path: Path) -> None:
    for name in ("IM0001", "film.DCM"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_bytes(bytes(200))
    assert [path.name for path, _ in expand([tmp_path])] == ["IM0001", "film.DCM"]


def test_folder_that_cannot_be_read_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.png").touch()
    scandir = os.scandir

    def refused(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    first, (path, error) = expand([tmp_path], recursive=True)
    assert first == (tmp_path / "a.png", None)
    assert path == tmp_path / "closed"
    assert isinstance(error, ImageNotReadable)


def test_what_the_system_does_not_let_look_at_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refused)
    film = tmp_path / "closed" / "film.png"
    [(path, error)] = expand([film])
    assert path == film
    assert isinstance(error, ImageNotReadable)
    assert str(error) == f"{film}: permission denied; check the permissions"


def test_file_of_a_folder_that_cannot_be_looked_into_is_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IM0001", "IM0002", "a.png"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    opened = Path.open

    def refused(path: Path, *arguments: Any) -> Any:
        if path.name == "IM0001":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments)

    monkeypatch.setattr(Path, "open", refused)
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    assert [path.name for path, _ in expand([tmp_path])] == ["IM0002", "a.png"]


def test_folder_without_images_is_an_error_of_its_own(tmp_path: Path) -> None:
    [(path, error)] = expand([tmp_path])
    assert path == tmp_path
    assert isinstance(error, ImageNotFound)
    assert "no image directly in this folder" in str(error)


def test_link_that_leads_nowhere_is_left_to_the_reader(tmp_path: Path) -> None:
    link = tmp_path / "dangling.png"
    link.symlink_to(tmp_path / "nowhere")
    assert list(expand([link])) == [(link, None)]
    assert list(expand([tmp_path / "d*.png"])) == [(link, None)]


def test_heat_maps_in_a_folder_are_no_films(tmp_path: Path) -> None:
    for name in ("a.png", "a.png.heatmap.png"):
        (tmp_path / name).touch()
    assert [path.name for path, _ in expand([tmp_path])] == ["a.png"]


def test_dicom_files_named_by_numbers_are_found(tmp_path: Path) -> None:
    for name in ("1.2.840.113619.2.5", "IM0001.IMA"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    (tmp_path / "notes.txt").write_bytes(bytes(200))
    assert [path.name for path, _ in expand([tmp_path])] == ["1.2.840.113619.2.5", "IM0001.IMA"]


def test_data_on_standard_input_is_one_error() -> None:
    lines = io.StringIO("a.png\n\0\1\2\nmore\n\0\n")
    first, (path, error) = expand([Path("-")], stdin=lines)
    assert first == (Path("a.png"), None)
    assert path == Path("-")
    assert "is not text; - takes the paths of images" in str(error)


def test_empty_standard_input_is_an_error() -> None:
    [(_, error)] = expand([Path("-")], stdin=io.StringIO("\n"))
    assert "names no image" in str(error)
