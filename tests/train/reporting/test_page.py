import base64
import re
from pathlib import Path

from cxr_edge_train.reporting.figures import new_figure, save_figure
from cxr_edge_train.reporting.page import Picture, Section, Table, write_page


def draw(path: Path) -> Path:
    figure = new_figure(2, 1)
    figure.subplots().plot([0, 1], [1, 0])
    return save_figure(figure, path)


def test_page_holds_its_pictures_and_loads_nothing(tmp_path: Path) -> None:
    picture = draw(tmp_path / "line.png")
    page = tmp_path / "page.html"
    section = Section(
        "Falling",
        ["It falls."],
        alarm="Look!",
        tables=[Table(["a"], [["1"]])],
        pictures=[Picture(picture, "a line")],
    )
    write_page(page, title="Lines", notice="Research use only.", sections=[section])
    html = page.read_text()
    assert re.findall(r"(?:src|href)=\"(?!data:|#)", html) == []
    assert base64.b64encode(picture.read_bytes()).decode() in html
    for text in ("Lines", "Research use only.", "Falling", "It falls.", "Look!", ">1</td>"):
        assert text in html
    assert html.count("a line") == 2  # for those who see it and those who hear it


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    section = Section("x", ["<script>alert(1)</script>"], tables=[Table(["<b>"], [["a&b"]])])
    write_page(page, title="<i>", notice="n", sections=[section])
    html = page.read_text()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "a&amp;b" in html


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    assert draw(tmp_path / "a.png").read_bytes() == draw(tmp_path / "b.png").read_bytes()
