"""One HTML file that contains its figures: it can be mailed and loads nothing from elsewhere."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from cxr_edge_runtime.files import write_text


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        columns: the heading of each column.
        rows: the cells, one row after another.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file and what it shows.

    Attributes:
        file: the PNG file.
        caption: the text below the picture, which a screen reader reads instead of it.
    """

    file: Path
    caption: str

    @property
    def data_uri(self) -> str:
        """The bytes of the file as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.file.read_bytes()).decode()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, then paragraphs, then tables, then pictures.

    Attributes:
        title: the heading of the section.
        paragraphs: plain text.
        alarm: what the reader must not overlook, shown before the paragraphs and marked; empty
            where all is well.
        tables: shown below the paragraphs.
        pictures: shown below the tables.
        lead: the most important line, shown first; empty where there is none.
    """

    title: str
    paragraphs: Sequence[str] = ()
    alarm: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    lead: str = ""


def write_page(path: Path, *, title: str, notice: str, sections: Sequence[Section]) -> None:
    """Write a self-contained page; all text is escaped.

    Args:
        path: the HTML file to write, atomically.
        title: the title of the page.
        notice: that this is research software, shown below the title.
        sections: the sections in order.
    """
    # The template is always ours; escaping protects against file and patient names.
    environment = Environment(
        loader=PackageLoader("cxr_edge_train.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    template = environment.get_template("page.html")
    write_text(path, template.render(title=title, notice=notice, sections=sections))
