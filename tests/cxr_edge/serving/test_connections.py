"""Connections that stall, with a clock of the tests' own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cxr_edge.serving.connections import HEAD_S, LEAST_BYTES, MOST_OVERHEAD, PERIOD_S
from wires import Wires

GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPLOAD = HEAD + b"Content-Length: 81000000\r\n\r\n"


async def read_and_respond(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "http.disconnect":
        if not message["more_body"]:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})


async def never_respond(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def respond_in_parts(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


def played(
    scene: Callable[[Wires], Awaitable[None]], app: Any = read_and_respond, **limits: object
) -> None:
    async def play() -> None:
        await scene(Wires(app, **limits))

    asyncio.run(play())


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v1/classify HT", HEAD, UPLOAD, UPLOAD + b"x" * 99],
    ids=["nothing", "half a line", "half a head", "a head", "half a body"],
)
def test_client_that_says_no_more_is_let_go(sent: bytes) -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.send(client, sent)
        await wires.passes(PERIOD_S - 1)
        assert not client.ended
        await wires.passes(PERIOD_S + 2)
        assert client.ended
        assert not wires.connections

    played(scene)


@pytest.mark.parametrize(
    ("app", "first", "then"),
    [
        (read_and_respond, GET, b"G"),
        (read_and_respond, GET, b""),
        (refuse, UPLOAD, b"x"),
    ],
    ids=["begins another", "says no more", "refused with a body to come"],
)
def test_client_that_stalls_after_a_response_is_let_go(app: Any, first: bytes, then: bytes) -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.send(client, first)
        assert b"HTTP/1.1 " in client.sent
        await wires.send(client, then)
        await wires.passes(3 * PERIOD_S)
        assert client.ended

    played(scene, app)


@pytest.mark.parametrize("before", [b"", GET], ids=["first", "after another"])
def test_head_that_comes_by_drops_has_an_end(before: bytes) -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.send(client, before + b"G")
        for _ in range(int(HEAD_S + PERIOD_S) + 1):
            await wires.passes(1)
            if client.ended:
                return
            await wires.send(client, b"E")
        raise AssertionError("it has none")

    played(scene)


def test_steady_upload_is_not_cut_and_one_by_drops_is() -> None:
    least = LEAST_BYTES / PERIOD_S

    async def scene(wires: Wires) -> None:
        steady, slow, slowed = (wires.connect(f"192.0.2.{last}") for last in range(3))
        for client in (steady, slow, slowed):
            await wires.send(client, UPLOAD)
        await wires.send(slowed, b"x" * 30_000_000)  # quick at first
        for _ in range(100):
            await wires.passes(1)
            for client, rate in ((steady, 1.2 * least), (slow, 0.8 * least), (slowed, 1)):
                if not client.ended:
                    await wires.send(client, b"x" * int(rate))
        assert [steady.ended, slow.ended, slowed.ended] == [False, True, True]
        assert len(wires.connections) == 1

    played(scene)


def test_slow_upload_ends_with_the_first_period_of_its_body() -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.passes(PERIOD_S / 2)
        await wires.send(client, UPLOAD)
        for _ in range(int(PERIOD_S)):
            assert not client.ended
            await wires.passes(1)
            if not client.ended:
                await wires.send(client, b"x")
        assert client.ended

    played(scene)


def test_short_upload_may_come_slowly_and_then_wait_for_its_response() -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.passes(PERIOD_S - 1)
        await wires.send(client, HEAD + b"Content-Length: 9\r\n\r\n")
        for _ in range(9):
            await wires.passes(1)
            await wires.send(client, b"x")
        await wires.passes(100)
        assert not client.ended

    played(scene, never_respond)


@pytest.mark.parametrize(
    ("rate", "cut"), [(1.5, False), (0.5, True), (0, True)], ids=["steady", "drops", "nothing"]
)
def test_response_must_be_taken(rate: float, cut: bool) -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.send(client, GET)
        client.unsent = 10 * LEAST_BYTES
        for _ in range(5):
            await wires.passes(PERIOD_S)
            client.unsent -= int(rate * LEAST_BYTES)
        assert client.ended == cut

    played(scene, respond_in_parts)


@pytest.mark.parametrize("takes", [True, False])
def test_response_that_is_sent_in_parts_is_taken_where_its_parts_are(takes: bool) -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.send(client, GET)
        client.unsent = LEAST_BYTES  # there is always a part that waits
        for _ in range(5):
            if takes and not client.ended:
                client.connection.resume_writing()
            await wires.passes(PERIOD_S)
        assert client.ended != takes

    played(scene, respond_in_parts)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ONE, MANY = b"1\r\nx\r\n", b"3e8\r\n" + 1000 * b"x" + b"\r\n"


@pytest.mark.parametrize(
    ("sent", "cut"),
    [
        (1000 * ONE, True),
        (1000 * MANY + 1000 * ONE, True),
        (1000 * (b"1;" + 1000 * b"a" + b"\r\nx\r\n"), True),
        (b"1\r\nx\r\n0\r\n" + 1000 * b"a: b\r\n", True),
        (1000 * MANY, False),
        (1000 * (b"46\r\n" + 70 * b"x" + b"\r\n"), False),
        (64 * (2 * ONE + MANY) + b"0\r\n\r\n", False),
    ],
    ids=["bytes", "bytes after content", "extensions", "trailers", "usual", "lines", "a form"],
)
def test_body_in_chunks_that_is_mostly_no_content_is_cut(sent: bytes, cut: bool) -> None:
    async def scene(wires: Wires) -> None:
        client = wires.connect()
        await wires.send(client, CHUNKED + sent)
        assert client.ended == cut

    played(scene)


def test_no_more_is_taken_of_a_body_in_single_bytes_than_may_be_overhead() -> None:
    received = 0

    async def count(scope: Any, receive: Any, send: Any) -> None:
        nonlocal received
        while (message := await receive())["type"] != "http.disconnect":
            received += len(message["body"])

    async def scene(wires: Wires) -> None:
        client = wires.connect()
        assert client.max_size <= 20_000  # others have their turn
        await wires.send(client, CHUNKED)
        await wires.send(client, 100_000 * ONE)

    played(scene, count)
    assert received < 2 * MOST_OVERHEAD / len(ONE)


def test_one_client_gets_half_of_the_connections_and_others_the_rest() -> None:
    async def scene(wires: Wires) -> None:
        async def busy(address: str) -> bool:
            client = wires.connect(address)
            if not client.ended:
                await wires.send(client, UPLOAD)
            await wires.settle()
            return not client.ended

        assert sum([await busy("192.0.2.1") for _ in range(20)]) == 8
        assert sum([await busy("192.0.2.2") for _ in range(20)]) == 4
        assert sum([await busy("192.0.2.3") for _ in range(20)]) == 2
        assert len(wires.connections) == 14

    played(scene, most=16)


def test_addresses_of_one_network_are_one_client() -> None:
    async def scene(wires: Wires) -> None:
        connected = [wires.connect(f"2001:db8:1:2::{last:x}") for last in range(20)]
        for client in connected:
            if not client.ended:
                await wires.send(client, UPLOAD)
        assert len(wires.connections) == 8
        assert not wires.connect("2001:db8:1:3::1").ended

    played(scene, most=16)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET], ids=["nothing", "half a head", "idle"])
def test_connections_without_a_request_shut_nobody_out(sent: bytes) -> None:
    async def scene(wires: Wires) -> None:
        idle = []
        for _ in range(40):
            idle.append(wires.connect())
            await wires.send(idle[-1], sent)
            await wires.passes(0.01)
            for client in idle:
                if sent and sent != GET and not client.ended:
                    await wires.send(client, b"x")  # drops keep none of them
        assert len(wires.connections) == 8
        assert [client.ended for client in idle] == [True] * 32 + [False] * 8
        other = wires.connect()
        await wires.send(other, GET)
        assert b"200" in other.sent

    played(scene, most=16)


def test_requests_under_way_stay_when_others_make_room() -> None:
    async def scene(wires: Wires) -> None:
        uploads = [wires.connect() for _ in range(3)]
        for client in uploads:
            await wires.send(client, UPLOAD)
        for _ in range(30):
            wires.connect()
        await wires.settle()
        assert not any(client.ended for client in uploads)
        assert len(wires.connections) == 4
        last = wires.connect()
        await wires.send(last, UPLOAD)
        refused = wires.connect()
        await wires.settle()
        assert refused.ended
        assert not last.ended

    played(scene, most=8)


def test_client_takes_no_place_of_one_that_has_fewer() -> None:
    async def scene(wires: Wires) -> None:
        for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            for _ in range(8):
                wires.connect(address)
                await wires.passes(0.01)

        def count(address: str) -> int:
            return sum(connection._client == address for connection in wires.connections)

        assert [count(f"192.0.2.{last}") for last in (1, 2, 3)] == [2, 3, 2]
        for client in [wires.connect("192.0.2.4") for _ in range(4)]:
            if not client.ended:
                await wires.send(client, UPLOAD)
        await wires.settle()
        assert [count(f"192.0.2.{last}") for last in (1, 2, 3, 4)] == [2, 2, 2, 2]

    played(scene, most=8)
