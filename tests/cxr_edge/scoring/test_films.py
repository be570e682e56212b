import zipfile
from pathlib import Path

import pytest

from cxr_edge.scoring.films import contents
from cxr_edge_runtime.errors import (
    ExtraMissing,
    ImageNotFound,
    ImageNotReadable,
    ImageTooLarge,
    UnreadableImage,
)
from cxr_edge_runtime.images import decoding_limits


def test_bytes_come_in_the_order_of_the_names(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{number}.png") for number in range(30)]
    for number, name in enumerate(names):
        Path(name).write_bytes(b"%d" % number)
    assert list(contents(names)) == [(name, b"%d" % n) for n, name in enumerate(names)]


def test_film_in_an_archive_is_read_by_its_url(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.writestr("in/a.png", b"film")
        archive.writestr("in/empty.png", b"")
    url = f"zip://in/{{}}::file://{tmp_path}/films.zip"
    names = [url.format(name) for name in ("a.png", "empty.png", "absent.png")]
    film, empty, absent = (content for _, content in contents(names))
    assert film == b"film"
    assert isinstance(empty, UnreadableImage)
    assert isinstance(absent, ImageNotFound)


def test_what_keeps_a_film_from_being_read_is_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_limits, "MAX_BYTES", 10)
    (tmp_path / "large.png").write_bytes(b"x" * 11)
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.writestr("large.png", b"x" * 11)
    found = dict(
        contents(
            [
                str(tmp_path),
                str(tmp_path / "absent.png"),
                str(tmp_path / "large.png"),
                f"zip://large.png::file://{tmp_path}/films.zip",
                "nowhere://film.png",
                "zip://a.png::file:///absent.zip",
            ]
        )
    )
    kinds = [type(content) for content in found.values()]
    assert kinds[:4] == [ImageNotReadable, ImageNotFound, ImageTooLarge, ImageTooLarge]
    assert kinds[4:] == [ImageNotReadable, ImageNotFound]
    assert str(found["nowhere://film.png"]).startswith("nowhere://film.png: cannot be read (Proto")


def test_missing_package_for_a_kind_of_url_is_no_matter_of_a_film() -> None:
    with pytest.raises(ExtraMissing, match=r"s3://bucket/a\.png: Install s3fs"):
        list(contents(["s3://bucket/a.png"]))
