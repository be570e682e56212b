"""The content of a page as GitHub's Markdown."""

from collections.abc import Sequence
from pathlib import Path

from cxr_edge_train.reporting.page import Section, Table


def markdown_page(title: str, notice: str, sections: Sequence[Section], folder: Path) -> str:
    """Write a page as Markdown; its pictures are links.

    Args:
        title: the title of the page.
        notice: Markdown below the title.
        sections: the sections in order.
        folder: the folder of the Markdown file; the pictures lie in it or below.
    """
    parts = [f"# {title}", notice]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [section.lead] if section.lead else []
        parts += [f"**{section.alarm}**"] if section.alarm else []
        parts += section.paragraphs
        parts += [markdown_table(table).rstrip() for table in section.tables]
        parts += [
            f"![{picture.caption}]({picture.file.relative_to(folder).as_posix()})"
            for picture in section.pictures
        ]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Write a table as Markdown, which ends in a line break."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
