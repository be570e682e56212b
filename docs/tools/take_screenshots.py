"""Take the pictures of the served page again, of the samples.

It needs Chromium and the developers' environment: ``python docs/tools/take_screenshots.py``.
"""

import sys
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from browsing import chromium  # type: ignore[import-not-found]  # noqa: E402
from serving import running_server  # type: ignore[import-not-found]  # noqa: E402

FILMS = sorted((ROOT / "data" / "samples").glob("*.jpeg"))
TARGET = ROOT / "docs" / "results" / "serving"
FRONT_PAGE = ROOT / "docs" / "pictures" / "page.png"


def show(page: Page, films: list[Path]) -> None:
    """Have the page classify films."""
    page.set_input_files("#files", films)
    page.locator("#results > li").nth(len(films) - 1).wait_for()
    page.locator("#work").wait_for(state="hidden")


def main() -> None:
    """Take the pictures of the front page and of the results."""
    with running_server() as server, chromium() as browser:
        phone = browser.new_page(viewport={"width": 390, "height": 844})
        phone.goto(server.address)
        show(phone, FILMS[-1:])
        phone.screenshot(path=TARGET / "phone.png", full_page=True)
        front = browser.new_page(viewport={"width": 900, "height": 600})
        front.goto(server.address)
        show(front, [film for film in FILMS if film.name.startswith("child_")])
        front.screenshot(path=FRONT_PAGE, full_page=True)
        desktop = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="dark")
        desktop.goto(server.address)
        show(desktop, FILMS)
        desktop.screenshot(path=TARGET / "desktop.png")
        desktop.locator(".card .film").first.click()
        desktop.locator("#large canvas").wait_for()
        desktop.screenshot(path=TARGET / "enlarged.png")


if __name__ == "__main__":
    main()
