import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge.serving import app
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle, write_bundle
from cxr_edge_runtime.bundle.manifest import CARD_FILE, NOTICE
from cxr_edge_runtime.classifier import Classifier
from serving import PHANTOM
from waiting import until

Serve = Callable[..., TestClient]


def without_card(bundle: Bundle, folder: Path) -> Bundle:
    """A copy of a bundle that has no card."""
    files = {name: entry for name, entry in bundle.manifest.files.items() if name != CARD_FILE}
    contents = {name: bundle.read(name) for name in files}
    write_bundle(folder, replace(bundle.manifest, files=files), contents)
    return Bundle.load(folder)


def test_model_is_described(serve: Serve, shipped: Bundle) -> None:
    found = serve().get("/v1/model").json()
    assert found["sha256"] == shipped.digest
    assert found["threshold"] == shipped.manifest.threshold.value
    assert found["threshold_rule"] == shipped.manifest.threshold.rule
    assert found["threshold_chosen_on"] == "validation"
    assert found["notice"] == NOTICE


def test_page_shows_the_notice_and_names_no_other_host(serve: Serve) -> None:
    client = serve()
    for path in ("/", "/model"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert NOTICE in page.text
    for path in ("/", "/page.js", "/card.js", "/film.js", "/page.css", "/drawing.jpeg"):
        assert "://" not in client.get(path).text


def test_card_passes_no_html_through(serve: Serve, shipped: Bundle) -> None:
    from cxr_edge.serving.model_card import card_page

    class Evil:
        manifest = shipped.manifest

        @staticmethod
        def read(name: str) -> bytes:
            return (
                b"---\nlicense: x\n---\n# Card\n\n<script>alert(1)</script>\n\n"
                b"[link](javascript:alert(1)) ![picture](x.png)\n\n"
                b"| a | b |\n|---|---|\n| 1 | 2 |\n"
            )

    page = card_page(Evil())  # type: ignore[arg-type]
    own = page.index("The text below is the bundle's own; cxr-edge has not checked it.")
    assert page.index(NOTICE) < own < page.index("<h1>Card</h1>")
    assert "<script>" not in page
    assert 'href="javascript' not in page
    assert "<img" not in page
    assert "license: x" not in page
    assert "<td>1</td>" in page


def test_card_without_front_matter_is_shown_whole(shipped: Bundle) -> None:
    from cxr_edge.serving.model_card import card_page

    class Plain:
        manifest = shipped.manifest

        @staticmethod
        def read(name: str) -> bytes:
            return b"# First\n\n---\n\nlast\n"

    page = card_page(Plain())  # type: ignore[arg-type]
    assert "<h1>First</h1>" in page
    assert "<p>last</p>" in page


def test_unknown_paths_and_methods_say_so(serve: Serve) -> None:
    client = serve()
    assert client.get("/etc/passwd").json()["error"]["kind"] == "NotFound"
    assert client.get("/../../etc/passwd").status_code == 404
    response = client.get("/v1/classify")
    assert response.json()["error"]["kind"] == "WrongMethod"
    assert response.headers["allow"] == "POST"


def test_full_queue_is_503_and_those_taken_are_answered(
    serve: Serve, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, let_go, _ = held
    monkeypatch.setattr(app, "WAITING", 5)
    client = serve(classifier=make)
    content = PHANTOM.read_bytes()
    with ThreadPoolExecutor(3) as clients:
        # Of six places one client has three.
        under_way = [clients.submit(client.post, "/v1/classify", content=content) for _ in range(3)]
        refusals = []

        def refused() -> bool:
            refusals.append(client.post("/v1/classify", content=b""))
            return refusals[-1].status_code == 503

        until(refused)  # they are on their way
        assert refusals[-1].headers["retry-after"] == "1"
        let_go.set()
        assert [response.result().status_code for response in under_way] == [200] * 3
    assert client.post("/v1/classify", content=content).status_code == 200


def test_everything_is_served_after_the_bundle_is_gone(shipped: Bundle, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(shipped.path, tmp_path / "bundle"))
    bundle = Bundle.load(copied)
    workers = Workers(lambda: Classifier(bundle).read_all(), threads=1)
    with TestClient(app.make_app(bundle, workers, threads=1)) as client:
        shutil.rmtree(copied)  # as an update does
        for path in app.PATHS - {"/v1/classify"}:
            assert client.get(path).status_code == 200, path
        assert client.get("/v1/model").json()["sha256"] == shipped.digest
        assert "<h2>" in client.get("/model").text
        answer = client.post("/v1/classify?map=true&picture=true", content=PHANTOM.read_bytes())
        assert answer.status_code == 200


def test_nothing_is_read_after_the_start(
    serve: Serve, shipped: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve()
    monkeypatch.setattr(Bundle, "read", None)
    monkeypatch.setattr(app, "card_page", None)
    monkeypatch.setattr(app, "description", None)
    monkeypatch.setattr(app.resources, "files", None)
    for path in app.PATHS - {"/v1/classify"}:
        assert client.get(path).status_code == 200, path


def test_bundle_without_a_card_has_a_page_that_says_so(shipped: Bundle, tmp_path: Path) -> None:
    bundle = without_card(shipped, tmp_path / "bundle")
    workers = Workers(lambda: Classifier(bundle), threads=1)
    with TestClient(app.make_app(bundle, workers, threads=1)) as client:
        page = client.get("/model")
    assert page.status_code == 200
    assert "This bundle has no model card." in page.text
    assert bundle.manifest.name in page.text
    assert NOTICE in page.text


def test_failure_of_the_server_says_nothing_of_itself(serve: Serve, shipped: Bundle) -> None:
    class Broken(Classifier):
        def classify(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("secret /path/of/mine")

    response = serve(classifier=lambda: Broken(shipped)).post(
        "/v1/classify", content=PHANTOM.read_bytes()
    )
    assert response.status_code == 500
    assert response.json()["error"]["kind"] == "InternalError"
    assert "secret" not in response.text


def test_address_with_a_slash_too_many_is_not_sent_elsewhere(serve: Serve) -> None:
    response = serve().get("/v1/model/", follow_redirects=False)
    assert response.status_code == 404
