"""The site is built of docs/ without a warning, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import ROOT, load_script

outside_pages = load_script("docs/tools/outside_pages.py")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//"
        r"|<link\b(?![^>]*rel=\"(?:canonical|next|prev)\")[^>]*\bhref=\"(?:https?:)?//"
    )
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert loaded.search(page.read_text(encoding="utf-8")) is None, page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\"?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_pages_from_outside_docs_and_their_pictures_are_there(site: Path) -> None:
    card = site / "repository/models/cxr_edge_models/tiny/MODEL_CARD/index.html"
    text = card.read_text(encoding="utf-8")
    [picture] = re.findall(r'src="([^"]*activation_maps\.png)"', text)
    assert (card.parent / picture).resolve().is_file()
    assert (site / "repository/data/index.html").is_file()
    assert not (site / "tools").exists()


def test_python_api_was_read_from_the_sources(site: Path) -> None:
    text = (site / "reference/python-api/index.html").read_text(encoding="utf-8")
    # Of the runtime, of the API's own module, and of train behind its lazy name.
    for words in ("recorded SHA-256", "threads may share it", "No patient is in two of them"):
        assert words in text


def test_results_have_pictures_of_the_shipped_models_alone() -> None:
    results = ROOT / "docs" / "results"
    shipped = ("cards/", "conversion/shipped/", "serving/", "drift.png")
    pictures = [p.relative_to(results).as_posix() for p in results.rglob("*.png")]
    assert len(pictures) >= 10
    assert [name for name in pictures if not name.startswith(shipped)] == []


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        ("guides/a.md", "[x](../drift.md)", "[x](../drift.md)"),
        ("guides/a.md", "[x](../../data/README.md)", "[x](../repository/data/README.md)"),
        ("a.md", "[x](../data/README.md#samples)", "[x](repository/data/README.md#samples)"),
        ("a.md", "[x](../pyproject.toml)", "x"),
        ("a.md", "[x](../benchmarks)", "x"),
        ("a.md", "[x](missing.md)", "[x](missing.md)"),
        ("a.md", "[x](https://example.org/)", "[x](https://example.org/)"),
        ("repository/data/README.md", "[x](../docs/drift.md)", "[x](../../drift.md)"),
        (
            "repository/models/cxr_edge_models/tiny/MODEL_CARD.md",
            "![p](../../../docs/results/drift.png)",
            "![p](../../../../results/drift.png)",
        ),
    ],
)
def test_link_of_the_repository_becomes_one_of_the_site(
    source: str, link: str, expected: str
) -> None:
    assert outside_pages.relinked(link, source) == expected
