from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge.serving import app
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.classifier import Classifier
from serving import PHANTOM

Serve = Callable[..., TestClient]


def test_model_is_described(serve: Serve, shipped: Bundle) -> None:
    found = serve().get("/v1/model").json()
    assert found["sha256"] == shipped.digest
    assert found["threshold"] == shipped.manifest.threshold.value
    assert found["notice"] == NOTICE


def test_page_shows_the_notice_and_names_no_other_host(serve: Serve) -> None:
    client = serve()
    for path in ("/", "/model"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert NOTICE in page.text
    for path in ("/", "/page.js", "/page.css"):
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
    make, let_go, begun = held
    monkeypatch.setattr(app, "WAITING", 2)
    client = serve(classifier=make)
    content = PHANTOM.read_bytes()
    with ThreadPoolExecutor(3) as clients:
        under_way = [clients.submit(client.post, "/v1/classify", content=content) for _ in range(3)]
        begun.acquire()
        refused = None
        for _ in range(200):  # the other two are on their way
            refused = client.post("/v1/classify", content=b"")
            if refused.status_code == 503:
                break
        assert refused is not None
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        let_go.set()
        assert [response.result().status_code for response in under_way] == [200] * 3
    assert client.post("/v1/classify", content=content).status_code == 200


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
