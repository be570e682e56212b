from pathlib import Path

from cxr_edge_train.reporting.markdown import markdown_page, markdown_table
from cxr_edge_train.reporting.page import Picture, Section, Table


def test_page_has_all_of_its_sections_in_order() -> None:
    sections = [
        Section("First", ["Some words.", "More."], alarm="Look here."),
        Section(
            "Second",
            tables=[Table(["n"], [["1"]])],
            pictures=[Picture(Path("/out/figures/size.png"), "Sizes.")],
        ),
    ]
    assert (
        markdown_page("Title", "A notice", sections, Path("/out"))
        == """\
# Title

A notice

## First

**Look here.**

Some words.

More.

## Second

| n |
| --- |
| 1 |

![Sizes.](figures/size.png)
"""
    )


def test_markdown_table_escapes_bars() -> None:
    table = Table(["name", "n"], [["a|b", "1"]])
    assert markdown_table(table) == "| name | n |\n| --- | --- |\n| a\\|b | 1 |\n"
