import asyncio
import contextlib
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from cxr_edge.prediction_log import PredictionLog
from cxr_edge.serving import app
from cxr_edge.serving.admission import Admission
from cxr_edge.serving.answer_log import AnswerLog
from cxr_edge.serving.refusals import Refusal
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.manifest import NOTICE
from serving import PHANTOM

Serve = Callable[..., TestClient]


class Held(Classifier):
    """A classifier that waits until it is let go."""

    def __init__(self, bundle: Bundle, let_go: threading.Event, begun: threading.Semaphore) -> None:
        super().__init__(bundle)
        self._let_go, self._begun = let_go, begun

    def classify(self, *arguments: Any, **options: Any) -> Any:
        self._begun.release()
        assert self._let_go.wait(30)
        return super().classify(*arguments, **options)


@pytest.fixture
def held(shipped: Bundle) -> Iterator[Any]:
    """How to make such classifiers, what lets them go, and what counts those that wait."""
    let_go, begun = threading.Event(), threading.Semaphore(0)
    yield (lambda: Held(shipped, let_go, begun)), let_go, begun
    let_go.set()


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


def test_some_films_of_a_request_may_fail_and_none_may_be_left(serve: Serve) -> None:
    client = serve()
    content = PHANTOM.read_bytes()
    mixed = client.post("/v1/classify", files=[("f", ("a", b"x")), ("f", ("b", content))])
    assert mixed.status_code == 200
    assert ["error" in result for result in mixed.json()["results"]] == [True, False]
    assert client.post("/v1/classify", files=[("f", ("a", b"x"))]).status_code == 422


@pytest.mark.parametrize("query", ["?mop=1", "?map=yes", "?map=", "?map=1&force=2", "?%00=1"])
def test_query_that_is_not_known_is_refused(serve: Serve, query: str) -> None:
    response = serve().post(f"/v1/classify{query}", content=b"x")
    assert (response.status_code, response.json()["error"]["kind"]) == (400, "InvalidQuery")


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


def test_request_that_takes_too_long_ends(serve: Serve, held: Any) -> None:
    make, let_go, _ = held
    client = serve(classifier=make, most_seconds=0.2)
    response = client.post("/v1/classify", content=PHANTOM.read_bytes())
    assert (response.status_code, response.json()["error"]["kind"]) == (504, "TooSlow")
    let_go.set()
    assert client.post("/v1/classify", content=PHANTOM.read_bytes()).status_code == 200


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


def test_picture_is_for_one_film(serve: Serve) -> None:
    client, content = serve(), PHANTOM.read_bytes()
    files = [("film", (name, content)) for name in ("a", "b")]
    assert client.post("/v1/classify?picture=true", files=files).status_code == 400
    [result] = client.post("/v1/classify?picture=true", files=files[:1]).json()["results"]
    assert result["picture"]


def test_address_with_a_slash_too_many_is_not_sent_elsewhere(serve: Serve) -> None:
    response = serve().get("/v1/model/", follow_redirects=False)
    assert response.status_code == 404


def test_room_of_a_request_that_took_too_long_is_free_when_its_film_is_done(
    serve: Serve, held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, let_go, _ = held
    monkeypatch.setattr(app, "WAITING", 0)
    client = serve(classifier=make, most_seconds=0.2)
    content = PHANTOM.read_bytes()
    assert client.post("/v1/classify", content=content).status_code == 504
    assert client.post("/v1/classify", content=content).status_code == 503  # it is still at it
    let_go.set()
    for _ in range(100):
        last = client.post("/v1/classify", content=content).status_code
        if last == 200:
            break
        time.sleep(0.02)
    assert last == 200


def test_room_is_held_until_the_answer_is_taken(shipped: Bundle) -> None:
    workers = Workers(lambda: Classifier(shipped), threads=1)
    admission = Admission(requests=1, n_bytes=10_000_000)
    sent: list[Message] = []

    async def ask() -> None:
        taken, waiting = asyncio.Event(), asyncio.Event()
        body = [{"type": "http.request", "body": PHANTOM.read_bytes(), "more_body": False}]

        async def receive() -> Message:
            if body:
                return body.pop()
            await asyncio.sleep(60)
            raise AssertionError

        async def send(message: Message) -> None:
            # As uvicorn: what comes before is on its way, the client is waited for here.
            if message["type"] == "http.response.body" and sent[-1]["type"] == message["type"]:
                waiting.set()
                await taken.wait()
            sent.append(message)

        # With the picture the answer is larger than what is sent without waiting.
        query = b"picture=true&force=true"
        scope = {
            "type": "http", "headers": [], "query_string": query, "method": "POST", "path": "/",
        }  # fmt: skip
        asked = asyncio.create_task(app.Classify(workers, admission, 60)(scope, receive, send))
        await asyncio.wait_for(waiting.wait(), 30)
        with pytest.raises(Refusal, match="as many requests"):
            admission.enter()
        taken.set()
        await asked
        admission.enter()

    asyncio.run(ask())
    assert [message.get("more_body") for message in sent] == [None, True, False]
    assert b'"label"' in sent[1]["body"]
    workers.close()


def test_films_that_were_answered_are_logged_without_their_names(
    serve: Serve, shipped: Bundle, tmp_path: Path
) -> None:
    log = PredictionLog(tmp_path / "log.db")
    answered = AnswerLog(log)
    films = [("a", ("Doe^Jane.jpeg", PHANTOM.read_bytes())), ("b", ("b.png", b"no film"))]
    answer = serve(log=answered).post("/v1/classify", files=films).json()["results"][0]
    log.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db")) as connection:
        [row] = connection.execute("SELECT * FROM films").fetchall()
    assert row[0] == hashlib.sha256(PHANTOM.read_bytes()).hexdigest()
    assert row[1:3] == (shipped.digest, answer["gate"]["verdict"])
    assert b"Doe" not in (tmp_path / "log.db").read_bytes()


def test_log_that_cannot_be_written_keeps_nobody_from_an_answer_and_is_said_once(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = PredictionLog(tmp_path / "log.db", patience_s=0.01)
    client = serve(log=AnswerLog(log))
    statuses = []
    with contextlib.closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        for held in (True, True, False, True):
            if held:
                other.execute("BEGIN IMMEDIATE")
            answer = client.post("/v1/classify", content=PHANTOM.read_bytes())
            statuses.append(answer.status_code)
            if held:
                other.execute("ROLLBACK")
        [count] = other.execute("SELECT count(*) FROM films").fetchone()
    log.close()
    assert statuses == [200] * 4
    assert count == 1
    assert capfd.readouterr().err.count("database is locked") == 2
