import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from cxr_edge.serving import app
from cxr_edge.serving.admission import Admission
from cxr_edge.serving.classifying import Classify
from cxr_edge.serving.problems import ProblemResponse
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from serving import PHANTOM

Serve = Callable[..., TestClient]


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


def test_request_that_takes_too_long_ends(serve: Serve, held: Any) -> None:
    make, let_go, _ = held
    client = serve(classifier=make, most_seconds=0.2)
    response = client.post("/v1/classify", content=PHANTOM.read_bytes())
    assert (response.status_code, response.json()["error"]["kind"]) == (504, "TooSlow")
    let_go.set()
    assert client.post("/v1/classify", content=PHANTOM.read_bytes()).status_code == 200


def test_picture_is_for_one_film(serve: Serve) -> None:
    client, content = serve(), PHANTOM.read_bytes()
    files = [("film", (name, content)) for name in ("a", "b")]
    assert client.post("/v1/classify?picture=true", files=files).status_code == 400
    [result] = client.post("/v1/classify?picture=true", files=files[:1]).json()["results"]
    assert result["picture"]


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
        asked = asyncio.create_task(Classify(workers, admission, 60)(scope, receive, send))
        await asyncio.wait_for(waiting.wait(), 30)
        with pytest.raises(ProblemResponse, match="as many requests"):
            admission.acquire()
        taken.set()
        await asked
        admission.acquire()

    asyncio.run(ask())
    assert [message.get("more_body") for message in sent] == [None, True, False]
    assert b'"label"' in sent[1]["body"]
    workers.close()
