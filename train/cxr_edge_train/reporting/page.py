"""One HTML file with its figures inside: it can be mailed, and loads nothing from anywhere."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from cxr_edge_runtime.files import write_text


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG file and what it shows; the caption is also what a screen reader says."""

    file: Path
    caption: str

    @property
    def data_uri(self) -> str:
        """The file's bytes as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.file.read_bytes()).decode()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, then words, then tables, then pictures.

    Attributes:
        title: of the section.
        paragraphs: plain text.
        alarm: shown first and marked, when there is something the reader must not miss.
        tables: below the words.
        pictures: below the tables.
    """

    title: str
    paragraphs: Sequence[str] = ()
    alarm: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def write_page(path: Path, *, title: str, notice: str, sections: Sequence[Section]) -> None:
    """Write a self-contained page; all text is escaped.

    Args:
        path: HTML file to write, atomically.
        title: of the page.
        notice: that this is research software, shown under the title.
        sections: in order.
    """
    # No template is ever taken from outside; escaping guards against file and patient names.
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
