"""Debian's Chromium, driven by Playwright, for tests of the served page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
# Without the background's flags it asks for hosts of its maker's.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@contextmanager
def chromium() -> Iterator[playwright.Browser]:
    """A browser, for as long as the block lasts."""
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as started,
    ):
        yield started


def cards(page: playwright.Page, count: int) -> list[playwright.Locator]:
    """All cards of the page, once there are so many."""
    page.locator("#results > li").nth(count - 1).wait_for()
    return page.locator("#results > li").all()


def greys(card: playwright.Locator, folder: Path) -> np.ndarray:
    """The film of a card as it is shown, ``[H, W, 3]``; the picture is written into a folder."""
    card.locator("canvas").screenshot(path=folder / "film.png")
    return np.asarray(Image.open(folder / "film.png").convert("RGB")).astype(int)
