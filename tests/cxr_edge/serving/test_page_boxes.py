"""What the page shows of the box that the model looked at."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browsing import cards, chromium, greys, needs_chromium, playwright
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from locators import TWO_LUNGS, drawn_film, film_without_lungs, located_bundle, whole_film_bundle
from serving import PHANTOM, Server, running_server

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def located(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Bundle]]:
    """A server whose model looks at the lungs alone."""
    bundle = located_bundle(tmp_path_factory.mktemp("located") / "tiny")
    with running_server("--threads", 1, "--bundle", bundle) as started:
        yield started, Bundle.load(bundle)


def outlined(picture: np.ndarray) -> tuple[int, ...]:
    """Left, top, right and bottom of what is yellow; nothing where nothing is."""
    rows, columns = np.nonzero(np.abs(picture - (240, 228, 66)).max(axis=-1) < 40)
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if rows.size else ()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_box_is_outlined_with_the_map_on_it(
    browser: playwright.Browser, located: tuple[Server, Bundle], tmp_path: Path, scheme: str
) -> None:
    server, bundle = located
    film = tmp_path / "lungs.png"
    Image.fromarray(drawn_film(*TWO_LUNGS)).save(film)
    box = Classifier(bundle).classify(film).box
    assert box is not None
    with browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 1200, "height": 1500})
        page.goto(server.address)
        page.set_input_files("#files", film)
        [card] = cards(page, 1)
        legend = card.locator(".legend").inner_text()
        assert legend.endswith("the map is coarse; the box is what the model looked at")
        slider = card.get_by_role("slider")
        slider.fill("0")
        assert not outlined(greys(card, tmp_path))  # the film alone
        assert not card.locator(".legend").is_visible()
        slider.fill("100")
        assert card.locator(".legend").is_visible()
        drawn = greys(card, tmp_path)
        height, width, _ = drawn.shape
        left, top, right, bottom = outlined(drawn)
        assert (left, top, right, bottom) == pytest.approx(box.in_pixels(width, height), abs=2)
        is_coloured = np.abs(drawn[..., 0] - drawn[..., 2]) > 8
        assert is_coloured[top:bottom, left:right].mean() > 0.5
        is_coloured[top - 2 : bottom + 2, left - 2 : right + 2] = False
        assert not is_coloured[4:-4, 4:-4].any()  # at the edge is the page
        card.locator(".film").click()
        page.get_by_role("button", name="Actual size").click()
        page.locator("#large-film canvas").screenshot(path=tmp_path / "large.png")
        large = np.asarray(Image.open(tmp_path / "large.png").convert("RGB")).astype(int)
        assert outlined(large) == pytest.approx(box.in_pixels(256, 256), abs=2)


def test_film_of_a_model_without_a_locator_has_no_box(
    browser: playwright.Browser, tmp_path: Path
) -> None:
    bundle = whole_film_bundle(tmp_path / "whole")
    with (
        running_server("--threads", 1, "--bundle", bundle) as server,
        browser.new_context(viewport={"width": 1200, "height": 1500}) as context,
    ):
        page = context.new_page()
        page.goto(server.address)
        page.set_input_files("#files", PHANTOM)
        [card] = cards(page, 1)
        assert card.locator(".legend").inner_text().endswith("the map is coarse")
        assert not outlined(greys(card, tmp_path))


def test_film_without_lungs_is_said_to_have_none(
    browser: playwright.Browser, located: tuple[Server, Bundle], tmp_path: Path
) -> None:
    film = tmp_path / "film.png"
    Image.fromarray(film_without_lungs()).save(film)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(located[0].address)
        page.set_input_files("#files", film)
        [card] = cards(page, 1)
        assert card.locator(".label").inner_text() == "No answer"
        assert "no lungs found" in card.locator(".reasons").inner_text()
        assert not card.locator(".legend").is_visible()
