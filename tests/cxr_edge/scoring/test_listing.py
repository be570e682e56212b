import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxr_edge.inputs import expand
from cxr_edge.scoring.listing import film_names
from cxr_edge_runtime.errors import CxrEdgeError, ImageNotFound, InvalidRequest


def test_folder_gives_what_classify_takes_of_it(
    tmp_path: Path, make_image: Callable[..., Path]
) -> None:
    for name in ("b.png", "sub/a.jpeg", "sub/.hidden.png", ".dir/c.png", "a.heatmap.png"):
        make_image(f"in/{name}")
    (tmp_path / "in" / "notes.txt").write_text("no film")
    (tmp_path / "in" / "1.2.840").write_bytes(b"\0" * 128 + b"DICM")
    named = list(film_names(str(tmp_path / "in")))
    assert named == [str(path) for path, _ in expand([tmp_path / "in"], recursive=True)]
    assert [Path(name).name for name in named] == ["1.2.840", "b.png", "a.jpeg"]


def test_relative_folder_gives_absolute_names(
    make_image: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_image("in/film.png")
    monkeypatch.chdir(tmp_path)
    assert list(film_names("in")) == [str(film)]


def test_list_has_paths_and_urls_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("a.png\r\n\nsub/b.png\nfile:///c.png\nmemory://d.png\n/e f.png\n")
    assert list(film_names("list.txt")) == [
        str(tmp_path / "a.png"),
        str(tmp_path / "sub" / "b.png"),
        "/c.png",
        "memory://d.png",
        "/e f.png",
    ]


def test_bytes_that_are_no_utf8_come_through(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"/a\xff.png\n")
    assert [os.fsencode(name) for name in film_names(str(tmp_path / "list.txt"))] == [b"/a\xff.png"]


@pytest.mark.parametrize("column", ["file", "path"])
def test_table_has_a_column_of_paths(tmp_path: Path, column: str) -> None:
    pq.write_table(pa.table({"n": [1, 2], column: ["/b.png", "/a.png"]}), tmp_path / "t.parquet")
    assert list(film_names(str(tmp_path / "t.parquet"))) == ["/b.png", "/a.png"]


def test_folder_in_an_archive_is_a_url(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for name in ("in/b.png", "in/a.dcm", "in/.c.png", "in/deep/d.tif", "in/e.txt"):
            archive.writestr(name, "x")
    url = f"zip://in::file://{tmp_path}/films.zip"
    assert list(film_names(url)) == [
        f"zip://in/{name}::file://{tmp_path}/films.zip" for name in ("a.dcm", "b.png", "deep/d.tif")
    ]


@pytest.mark.parametrize(
    ("content", "name"), [(b"\0\1", "list"), (b"film", "film.jpeg"), (b"", "t.txt")]
)
def test_what_is_no_list_is_refused_or_empty(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    if not content:
        assert list(film_names(str(tmp_path / name))) == []
        return
    with pytest.raises(InvalidRequest):
        list(film_names(str(tmp_path / name)))


def test_table_without_names_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "t.parquet")
    with pytest.raises(InvalidRequest, match="has no column file or path"):
        list(film_names(str(tmp_path / "t.parquet")))
    pq.write_table(pa.table({"file": [1]}), tmp_path / "t.parquet")
    with pytest.raises(InvalidRequest, match="something other than paths"):
        list(film_names(str(tmp_path / "t.parquet")))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 or not")
    with pytest.raises(CxrEdgeError, match=r"t\.parquet: cannot be read"):
        list(film_names(str(tmp_path / "t.parquet")))


def test_folder_without_films_and_nothing_at_all_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound, match="no image in this folder"):
        list(film_names(str(tmp_path)))
    with pytest.raises(CxrEdgeError, match="no such folder or file"):
        list(film_names(str(tmp_path / "absent")))
    with pytest.raises(CxrEdgeError, match="Protocol not known: nowhere"):
        list(film_names("nowhere://films"))


def test_colons_in_a_local_name_make_no_url(
    tmp_path: Path, make_image: Callable[..., Path]
) -> None:
    film = make_image("in/a::b.png")
    assert list(film_names(str(tmp_path / "in"))) == [str(film)]


def test_last_link_of_a_chain_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("zip://a.png::file://f.zip\nzip://a.png::f.zip\n")
    assert list(film_names("list.txt")) == [f"zip://a.png::file://{tmp_path / 'f.zip'}"] * 2


def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("\ufeff/a.png\n/b.png\n", encoding="utf-8")
    assert list(film_names(str(tmp_path / "list.txt"))) == ["/a.png", "/b.png"]


def test_table_may_have_a_name_in_capitals_and_csv_is_none(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file": ["/a.png"]}), tmp_path / "T.PARQUET")
    assert list(film_names(str(tmp_path / "T.PARQUET"))) == ["/a.png"]
    (tmp_path / "t.csv").write_text("file\n/a.png\n")
    with pytest.raises(InvalidRequest, match="is CSV; name a list"):
        list(film_names(str(tmp_path / "t.csv")))
