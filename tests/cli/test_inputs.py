from pathlib import Path

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


def test_folder_without_images_is_an_error_of_its_own(tmp_path: Path) -> None:
    [(path, error)] = expand([tmp_path])
    assert path == tmp_path
    assert isinstance(error, ImageNotFound)
    assert "no image directly in this folder" in str(error)
