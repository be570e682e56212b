"""A hook of MkDocs: pages that lie outside ``docs/``, and the links to them, work in the site too.

In the repository links are paths between files. In the site a page from outside lies below
``repository/``; where a link leads to a file that the site does not have, its words stay.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = (
    "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md", "models/README.md",
    "models/cxr_edge_models/*/MODEL_CARD.md", "tests/device/README.md",
)  # fmt: skip

_LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
# Sphinx's words before a name, which Markdown prints as they are.
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside, and the icon of the server's page."""
    for path in _outside():
        files.append(File.generated(config, f"repository/{path}", abs_src_path=str(ROOT / path)))
    icon = str(ROOT / "cxr_edge/serving/page/icon.svg")
    files.append(File.generated(config, "theme/icon.svg", abs_src_path=icon))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page into those of the site."""
    return relinked(markdown, page.file.src_uri)


def on_page_content(html: str, **_: Any) -> str:
    """Mend what docstrings say in Sphinx's way."""
    return _ROLE.sub("", html).replace("<p>::</p>", "")


def relinked(markdown: str, source: str) -> str:
    """The text of a page with links as the site has them.

    Args:
        markdown: the text as it stands in the repository.
        source: where the site has the page, for example ``guides/dicom.md``.
    """
    outside = source.startswith("repository/")
    here = source.removeprefix("repository/") if outside else f"docs/{source}"

    def link(found: re.Match[str]) -> str:
        picture, words, target, anchor = found.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        if "://" in target or not (ROOT / path).exists():
            return found[0]
        if path.startswith("docs/") and (ROOT / path).is_file():
            there = path.removeprefix("docs/")
        elif path in _outside():
            there = f"repository/{path}"
        else:
            return words
        relative = posixpath.relpath(there, posixpath.dirname(source) or ".")
        return f"{picture}[{words}]({relative}{anchor or ''})"

    return _LINK.sub(link, markdown)


def _outside() -> list[str]:
    found = (path for pattern in OUTSIDE for path in sorted(ROOT.glob(pattern)))
    return [path.relative_to(ROOT).as_posix() for path in found]
