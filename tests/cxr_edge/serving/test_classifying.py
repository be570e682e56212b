import asyncio
import io
import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message

from cxr_edge.serving.admission import Admission
from cxr_edge.serving.classifying import PART, Classify
from cxr_edge.serving.problems import ProblemResponse
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from serving import PHANTOM
from waiting import PATIENCE_S

PHANTOM_FILM = PHANTOM.read_bytes()
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
    client = serve(classifier=held[0], most_seconds=0.2)
    response = client.post("/v1/classify", content=PHANTOM.read_bytes())
    assert (response.status_code, response.json()["error"]["kind"]) == (504, "TooSlow")


def test_picture_is_for_one_film(serve: Serve) -> None:
    client, content = serve(), PHANTOM.read_bytes()
    files = [("film", (name, content)) for name in ("a", "b")]
    assert client.post("/v1/classify?picture=true", files=files).status_code == 400
    [result] = client.post("/v1/classify?picture=true", files=files[:1]).json()["results"]
    assert result["picture"]


def noise() -> bytes:
    """A film whose picture takes several parts of a response."""
    buffer = io.BytesIO()
    Image.effect_noise((600, 600), 99).save(buffer, "PNG")
    return buffer.getvalue()


def one_place() -> Admission:
    return Admission(uploads=9, requests=1, n_bytes=10_000_000)


def request(query: bytes = b"", *, film: bytes = PHANTOM_FILM) -> tuple[Any, asyncio.Event, Any]:
    """A request with a film: its scope, what ends it when it is set, and how it is received."""
    gone = asyncio.Event()
    body = [{"type": "http.request", "body": film, "more_body": False}]

    async def receive() -> Message:
        if body:
            return body.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    scope = {"type": "http", "headers": [], "query_string": query, "method": "POST", "path": "/"}
    return scope, gone, receive


async def no_answer(message: Message) -> None:
    raise AssertionError("it was answered")


@pytest.mark.parametrize("kind", ["TooSlow", "Disconnected"])
def test_place_of_a_request_that_ended_early_is_free_when_its_film_is_done(
    held: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, let_go, begun = held
    workers, admission = Workers(make, threads=1), one_place()
    limit, limits = asyncio.timeout, list[asyncio.Timeout]()

    def timeout(seconds: float) -> asyncio.Timeout:
        limits.append(limit(None))
        return limits[-1]

    monkeypatch.setattr(asyncio, "timeout", timeout)

    async def ask() -> None:
        scope, gone, receive = request()
        asked = asyncio.create_task(Classify(workers, admission, 60)(scope, receive, no_answer))
        await asyncio.to_thread(begun.acquire)
        if kind == "TooSlow":
            limits[0].reschedule(asyncio.get_running_loop().time())
        else:
            gone.set()
        with pytest.raises(ProblemResponse) as refusal:
            await asked
        assert refusal.value.kind == kind
        with pytest.raises(ProblemResponse, match="as many requests"):
            admission.acquire("other")  # a worker is still at it
        let_go.set()
        while True:
            await asyncio.sleep(0.01)
            with suppress(ProblemResponse):
                admission.acquire("other")
                return

    asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))
    workers.close()


def test_place_is_held_until_the_answer_is_taken(shipped: Bundle) -> None:
    workers, admission = Workers(lambda: Classifier(shipped), threads=1), one_place()
    sent: list[Message] = []

    async def ask() -> None:
        taken, waiting = asyncio.Event(), asyncio.Event()

        async def send(message: Message) -> None:
            # As uvicorn: what comes before is on its way, the client is waited for here.
            if message["type"] == "http.response.body" and sent[-1]["type"] == message["type"]:
                waiting.set()
                await taken.wait()
            sent.append(message)

        # With the picture the answer is larger than what is sent without waiting.
        scope, _, receive = request(b"picture=true&force=true", film=noise())
        asked = asyncio.create_task(Classify(workers, admission, PATIENCE_S)(scope, receive, send))
        await asyncio.wait_for(waiting.wait(), PATIENCE_S)
        with pytest.raises(ProblemResponse, match="as many requests"):
            admission.acquire("other")
        taken.set()
        await asked
        admission.acquire("other")

    asyncio.run(ask())
    assert [message.get("more_body") for message in sent] == [
        None,
        *[True] * (len(sent) - 2),
        False,
    ]
    parts = [message["body"] for message in sent[1:]]
    assert max(map(len, parts)) == PART
    assert not parts[-1]
    [result] = json.loads(b"".join(parts))["results"]
    assert b64decode(result["picture"])
    workers.close()
