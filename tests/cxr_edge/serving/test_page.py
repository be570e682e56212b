"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import base64
import csv
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browsing import cards, chromium, greys, needs_chromium, playwright
from dicom_files import written
from serving import PHANTOM, Server, running_server
from synthetic import noisy_gradient

Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe
pytestmark = needs_chromium
TOKEN = "a-token-of-enough-letters"


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server("--threads", 1) as started:
        yield started


@pytest.fixture
def page(browser: playwright.Browser, server: Server) -> Iterator[playwright.Page]:
    """The page; it asked nobody else and met no error of its own."""
    with browser.new_context(color_scheme="light", accept_downloads=True) as context:
        opened = context.new_page()
        asked: list[str] = []
        broken: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("pageerror", lambda error: broken.append(str(error)))
        opened.goto(server.address)
        yield opened
        own = (server.address, "blob:", "data:")
        assert [url for url in asked if not url.startswith(own)] == []
        assert broken == []


def test_chosen_film_becomes_a_card(page: playwright.Page) -> None:
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    assert card.locator("h3").inner_text() == PHANTOM.name
    assert card.locator(".label").inner_text() in ("NORMAL", "PNEUMONIA")
    assert "threshold" in card.locator(".scale").get_attribute("aria-label")
    assert card.locator(".gate").inner_text()
    assert (
        page.get_by_role("complementary").inner_text() == "Research use only. Not a medical device."
    )
    assert page.locator("#model").inner_text().startswith("Model mobilenetv2-int8")


def test_slider_shows_and_hides_the_map(page: playwright.Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 1200, "height": 1500})  # nothing is scrolled below the notice
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    slider = card.get_by_role("slider")
    colour = []
    for opacity in (0, 100):
        slider.fill(str(opacity))
        film = greys(card, tmp_path)
        colour.append(np.abs(film[..., 0] - film[..., 2]).mean())
    assert colour[0] < 1
    assert colour[1] > 5


def test_theme_can_be_switched(page: playwright.Page, tmp_path: Path) -> None:
    button = page.get_by_role("button", name="Dark theme")
    brightness = []
    for pressed in ("false", "true"):
        assert button.get_attribute("aria-pressed") == pressed
        page.screenshot(path=tmp_path / "page.png")
        brightness.append(np.asarray(Image.open(tmp_path / "page.png").convert("L")).mean())
        button.click()
    assert brightness[1] < 80 < brightness[0]


def test_bad_file_and_dicom_among_others(page: playwright.Page, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no film")
    film = tmp_path / "film.dcm"
    film.write_bytes(written(noisy_gradient((96, 80), seed=0)))
    page.set_input_files("#files", [PHANTOM, notes, film])
    last, bad, _ = cards(page, 3)
    assert "notes.txt: not a JPEG, PNG" in bad.locator(".gate").inner_text()
    assert bad.locator(".label").inner_text() == "No answer"
    # The browser cannot show DICOM; the device sent the film back.
    assert last.locator("canvas").is_visible()


def test_enlarged_film_fits_the_window_with_its_answer(
    page: playwright.Page, tmp_path: Path
) -> None:
    film = tmp_path / "large.png"
    Image.fromarray(noisy_gradient((1700, 1500), seed=0)).save(film)
    page.set_viewport_size({"width": 800, "height": 600})
    page.set_input_files("#files", film)
    [card] = cards(page, 1)
    card.locator(".film").click()
    dialog = page.get_by_role("dialog", name="large.png")
    assert "Research use only" in dialog.inner_text()
    assert dialog.locator("#large-label").inner_text() == card.locator(".label").inner_text()
    assert dialog.locator("#large-why").inner_text() == card.locator(".numbers").inner_text()
    canvas, words = dialog.locator("canvas"), dialog.locator(".large-words").bounding_box()
    fitted = canvas.bounding_box()
    assert fitted["y"] >= words["y"] + words["height"] - 1
    assert fitted["y"] + fitted["height"] <= 601
    assert fitted["x"] + fitted["width"] <= 801
    button = dialog.get_by_role("button", name="Actual size")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    before = canvas.bounding_box()
    assert (before["width"], before["height"]) == (1700, 1500)
    dialog.get_by_role("img").focus()
    page.keyboard.press("PageDown")
    page.wait_for_timeout(500)
    assert canvas.bounding_box()["y"] < before["y"]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_film_whose_file_is_gone_is_enlarged_from_its_card(
    page: playwright.Page, tmp_path: Path
) -> None:
    film = tmp_path / "film.jpeg"
    film.write_bytes(PHANTOM.read_bytes())
    page.set_input_files("#files", film)
    [card] = cards(page, 1)
    film.unlink()
    card.locator(".film").click()
    dialog = page.get_by_role("dialog", name="film.jpeg")
    assert dialog.locator("canvas").bounding_box()["width"] > 100


def test_films_that_were_not_sent_are_counted_when_somebody_stops(page: playwright.Page) -> None:
    page.set_input_files("#files", sorted(PHANTOM.parent.glob("phantom*")) * 6)
    page.get_by_role("button", name="Stop").click()
    page.locator("#work").wait_for(state="hidden")
    said = page.get_by_role("status").inner_text()
    shown, left = page.locator("#results > li").count(), int(said.split("Stopped: ")[1].split()[0])
    assert said.endswith(" not sent.")
    assert shown + left == 24
    assert page.locator(":focus").get_attribute("id") == "files"


def test_drawing_can_be_tried_without_a_film(page: playwright.Page) -> None:
    page.get_by_role("button", name="Try a drawing").click()
    [card] = cards(page, 1)
    assert card.locator("h3").inner_text() == "drawing.jpeg"
    assert card.locator(".label").inner_text() == "PNEUMONIA"
    page_files = resources.files("cxr_edge.serving").joinpath("page")
    sample = PHANTOM.parent / "phantom_opacity_lobar.jpeg"
    assert page_files.joinpath("drawing.jpeg").read_bytes() == sample.read_bytes()


def answer_with(page: playwright.Page, **changes: object) -> None:
    """Let the device's answers have these values."""
    page.add_init_script(
        """{
            const asked = window.fetch;
            window.fetch = async (address, options) => {
                const response = await asked(address, options);
                if (!address.startsWith("v1/classify")) return response;
                const answer = await response.json();
                Object.assign(answer.results[0], CHANGES);
                return Response.json(answer);
            };
        }""".replace("CHANGES", json.dumps(changes))
    )
    page.reload()
    page.locator("#model", has_text="mobilenetv2").wait_for()


@pytest.mark.parametrize(
    ("probability", "threshold", "said"),
    [
        (0.36, 0.123, "36.0%, at or above the threshold of 12.3%"),
        (0.36, 0.36, "36.0%, at or above the threshold of 36.0%"),
        (0.6201, 0.895, "62.0%, below the threshold of 89.5%"),
        (0.89501, 0.89502, "89.501%, below the threshold of 89.502%"),
    ],
)
def test_sentence_beside_the_scale_says_why(
    page: playwright.Page, probability: float, threshold: float, said: str
) -> None:
    answer_with(page, probability=probability, threshold=threshold)
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    rule = "chosen on validation: highest specificity with sensitivity at least 0.95"
    words = f"The probability of PNEUMONIA is {said} ({rule})."
    assert card.locator(".numbers").inner_text() == words


def test_page_that_does_not_know_the_model_names_no_label_of_its_own(page: playwright.Page) -> None:
    page.route("**/v1/model", lambda route: route.abort())
    page.reload()
    page.get_by_text("The device does not answer.").wait_for()
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    assert card.locator(".numbers").inner_text().startswith("The probability of the positive label")
    assert "orange: for the positive label" in card.locator(".legend").inner_text()


def test_tally_counts_every_card_by_what_became_of_it(
    page: playwright.Page, tmp_path: Path
) -> None:
    notes, grey = tmp_path / "notes.txt", tmp_path / "grey.png"
    notes.write_text("no film")
    Image.new("L", (300, 300), 128).save(grey)
    page.set_input_files("#files", [PHANTOM, notes, grey])
    cards(page, 3)
    status = page.get_by_role("status")
    status.get_by_text("3 films, 1 with an answer: 1 NORMAL; 1 rejected, 1 failed.").wait_for()
    page.get_by_role("button", name="Try a drawing").click()
    cards(page, 4)
    status.get_by_text(
        "4 films, 2 with an answer: 1 NORMAL, 1 PNEUMONIA; 1 rejected, 1 failed."
    ).wait_for()


def test_card_of_the_model_leaves_the_answers_alone(page: playwright.Page) -> None:
    page.set_input_files("#files", PHANTOM)
    cards(page, 1)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Model card").click()
    opened.value.get_by_role("heading", name="Bias, risks and limitations").wait_for()
    assert page.locator("#results > li").count() == 1


def test_every_film_says_when_it_is_done_and_its_slider_whose_it_is(page: playwright.Page) -> None:
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    page.get_by_role("status").get_by_text("1 film, 1 with an answer: 1 NORMAL.").wait_for()
    assert card.get_by_role("slider", name=f"Heat map of {PHANTOM.name}").is_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    assert page.locator(":focus").get_attribute("id") == "files"


def test_answers_are_saved_as_csv(page: playwright.Page, tmp_path: Path) -> None:
    notes = tmp_path / "=cmd.txt"
    notes.write_text("no film")
    page.set_input_files("#files", [PHANTOM, notes])
    cards(page, 2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    with Path(download.value.path()).open(newline="") as file:
        second, first = csv.DictReader(file)  # as on the screen, the newest first
    assert first["file"] == PHANTOM.name
    assert 0 <= float(first["probability"]) <= 1
    assert first["notice"] == "Research use only. Not a medical device."
    assert second["file"] == "'=cmd.txt"  # no formula for a spreadsheet
    assert second["error"]
    page.get_by_role("button", name="Clear", exact=True).click()
    assert page.locator("#results > li").count() == 0


def test_page_can_be_used_with_the_keyboard(page: playwright.Page) -> None:
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    reached = set()
    page.locator("body").press("Tab")
    for _ in range(12):
        focused = page.locator(":focus")
        if focused.count():
            reached.add(focused.get_attribute("id") or focused.get_attribute("class") or "link")
        page.keyboard.press("Tab")
    assert {"files", "theme", "drawing", "csv", "clear", "film"} <= reached
    slider = card.get_by_role("slider")
    before = slider.input_value()
    slider.press("ArrowLeft")
    assert slider.input_value() != before


def violations(page: playwright.Page) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong for users of keyboards and screen readers, and where."""
    found = Axe().run(page).response["violations"]
    return [(rule["help"], [node["html"] for node in rule["nodes"]]) for rule in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(
    browser: playwright.Browser, server: Server, tmp_path: Path, scheme: str
) -> None:
    notes, grey = tmp_path / "notes.txt", tmp_path / "grey.png"
    notes.write_text("no film")
    Image.new("L", (300, 300), 128).save(grey)
    with browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(server.address)
        page.locator("#model", has_text="mobilenetv2").wait_for()
        assert violations(page) == []
        page.get_by_role("button", name="Try a drawing").click()
        cards(page, 1)
        page.set_input_files("#files", [PHANTOM, notes, grey])
        *_, drawn = cards(page, 4)
        page.locator("#work").wait_for(state="hidden")
        assert violations(page) == []
        drawn.locator(".film").click()
        page.get_by_role("dialog", name="drawing.jpeg").wait_for()
        assert violations(page) == []
        page.goto(f"{server.address}/model")
        assert violations(page) == []


def test_axe_would_find_a_control_without_a_name(page: playwright.Page) -> None:
    page.evaluate("document.getElementById('theme').textContent = ''")
    assert "Buttons must have discernible text" in [rule for rule, _ in violations(page)]


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1440, 900), (3840, 2160)])
def test_nothing_is_cut_off_from_phone_to_4k(
    page: playwright.Page, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.set_input_files("#files", PHANTOM)
    [card] = cards(page, 1)
    box = card.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width


def test_token_is_asked_for_and_used(browser: playwright.Browser) -> None:
    with (
        running_server("--threads", 1, CXR_EDGE_TOKEN=TOKEN) as server,
        browser.new_context() as context,
    ):
        page = context.new_page()
        late: list[playwright.Route] = []

        def hold_without_token(request: playwright.Route) -> None:
            if "authorization" in request.request.headers:
                request.continue_()
            else:
                late.append(request)

        page.route("**/v1/model", hold_without_token)
        page.goto(server.address)
        page.set_input_files("#files", PHANTOM)  # waits for the token
        page.get_by_label("Token of this device").fill("nö token")
        page.get_by_role("button", name="Use token").click()
        page.get_by_text("A token consists of letters").wait_for()
        # What the page asked before it had a token is answered late: this wipes no words, ...
        opened, refused = late
        opened.continue_()
        page.locator("#token:focus").wait_for()
        assert page.get_by_text("A token consists of letters").is_visible()
        page.get_by_label("Token of this device").fill("wrong")
        page.get_by_role("button", name="Use token").click()
        page.get_by_text("does not accept this token").wait_for()
        page.get_by_label("Token of this device").fill(TOKEN)
        page.get_by_role("button", name="Use token").click()
        page.locator("#model", has_text="mobilenetv2").wait_for()
        [card] = cards(page, 1)
        assert card.locator(".label").inner_text() in ("NORMAL", "PNEUMONIA")
        # ... and does not make the page forget a token that was given since.
        with page.expect_response("**/v1/model"):
            refused.continue_()
        page.wait_for_timeout(200)
        assert page.locator("#login").is_hidden()


def test_files_can_be_dropped(browser: playwright.Browser, server: Server) -> None:
    # Only a script can make a drop, and the page's policy lets none of a test's run.
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        page.goto(server.address)
        files = page.evaluate_handle(
            """text => {
                const files = new DataTransfer();
                const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
                files.items.add(new File([bytes], "dropped.jpeg", { type: "image/jpeg" }));
                return files;
            }""",
            base64.b64encode(PHANTOM.read_bytes()).decode(),
        )
        page.dispatch_event("#drop", "drop", {"dataTransfer": files})
        [card] = cards(page, 1)
        assert card.locator("h3").inner_text() == "dropped.jpeg"
        assert card.locator(".label").inner_text() in ("NORMAL", "PNEUMONIA")


def test_server_that_stops_in_the_middle_is_said_and_what_is_done_stays(
    browser: playwright.Browser,
) -> None:
    films = sorted(PHANTOM.parent.glob("*.jpeg"))
    slow = (
        "import time, cxr_edge_runtime.classifier as a; fast = a.load_grey; first = [1]; "
        "a.load_grey = lambda *x, **y: fast(*x, **y) if first and first.pop() else time.sleep(99); "
    )
    with (
        running_server("--threads", 1, before=slow) as server,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(server.address)
        page.set_input_files("#files", films)
        cards(page, 1)
        server.process.kill()
        *lost, done = cards(page, len(films))
        for card in lost:
            assert "The device does not answer" in card.locator(".gate").inner_text()
        assert done.locator(".label").inner_text() in ("NORMAL", "PNEUMONIA")
        page.get_by_role("button", name="Save as CSV").wait_for()
