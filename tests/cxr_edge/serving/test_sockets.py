"""What no well-behaved client does, on sockets."""

import io
import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from PIL import Image

from serving import PHANTOM, Server, running_server
from waiting import PATIENCE_S

HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPLOAD = HEAD + b"Content-Length: 81000000\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server("--threads", 1) as started:
        yield started


def connected(server: Server, source: str = "127.0.0.1") -> socket.socket:
    """A connection from an address of this machine; all of 127.0.0.0/8 are its own."""
    host, port = server.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), PATIENCE_S, (source, 0))


def healthy(server: Server) -> bool:
    with urllib.request.urlopen(f"{server.address}/healthz", timeout=PATIENCE_S) as response:
        return bool(json.load(response)["status"] == "ok")


def classified(server: Server, source: str = "127.0.0.1") -> bool:
    """Whether a client of that address has a film classified at the first try."""
    film = PHANTOM.read_bytes()
    with connected(server, source) as connection:
        connection.sendall(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(film))
        connection.sendall(film)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return b'"probability"' in answer


def ended(connection: socket.socket) -> bool:
    """Whether the server ends a connection."""
    with suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return True


def test_forty_slow_uploads_keep_nobody_out(server: Server) -> None:
    with ExitStack() as slow:
        for _ in range(40):
            slow.enter_context(connected(server)).sendall(UPLOAD + b"x")
        assert healthy(server)
        assert classified(server)
        assert classified(server, "127.0.0.2")


def test_client_that_uses_its_share_up_keeps_no_other_out(server: Server) -> None:
    with ExitStack() as slow:
        for _ in range(300):
            with suppress(ConnectionError):  # it has as many as it may
                slow.enter_context(connected(server)).sendall(UPLOAD + b"x")
        assert classified(server, "127.0.0.2")


@pytest.mark.parametrize("sent", [b"", b"POST /v1/classify HT", HEAD], ids=["0", "line", "head"])
def test_half_open_connections_keep_nobody_out(server: Server, sent: bytes) -> None:
    with ExitStack() as half_open:
        for _ in range(300):
            half_open.enter_context(connected(server)).sendall(sent)
        assert classified(server)
        assert classified(server, "127.0.0.2")


def test_idle_connections_keep_nobody_out(server: Server) -> None:
    with ExitStack() as idle:
        for _ in range(300):
            connection = idle.enter_context(connected(server))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert connection.recv(65536)
        assert classified(server)


def test_clients_of_a_proxy_have_a_share_each(server: Server) -> None:
    film = PHANTOM.read_bytes()
    with ExitStack() as slow:
        statuses = []
        for last in range(100):
            connection = slow.enter_context(connected(server))
            connection.sendall(HEAD + b"X-Forwarded-For: 192.0.2.1\r\nContent-Length: 9\r\n\r\nx")
            if last == 63:
                assert healthy(server)  # what came before this has been read
            if last >= 64:
                statuses.append(connection.recv(65536)[:12])
        assert statuses == [b"HTTP/1.1 503"] * 36
        request = urllib.request.Request(
            f"{server.address}/v1/classify", film, {"X-Forwarded-For": "192.0.2.2"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            assert json.load(response)["results"][0]["label"]


def test_client_that_takes_no_answer_is_let_go() -> None:
    # Larger than what the system holds for a connection.
    noise = np.random.default_rng(0).integers(0, 256, (2048, 2048), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    film = buffer.getvalue()
    head = HEAD.replace(b"classify ", b"classify?picture=true&force=true ")
    short = "import cxr_edge.serving.connections as c; c.Connection.period_s = 0.5; "
    with (
        running_server("--threads", 1, before=short) as server,
        socket.socket() as connection,
    ):
        # Before it is connected: the window of a connection grows, but does not shrink.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.settimeout(PATIENCE_S)
        host, port = server.address.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        with suppress(ConnectionError):  # on a busy machine the upload is let go already
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(film) + film)
        assert server.process.stderr is not None
        # The request is over, although nothing was taken.
        assert "POST /v1/classify" in server.process.stderr.readline()
        received = 0
        with suppress(ConnectionError):
            while part := connection.recv(65536):
                received += len(part)
        assert received < len(film)


def test_damaged_chunk_after_a_refusal_ends_the_connection_quietly(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n"
        )
        assert connection.recv(65536)  # the refusal's head
        connection.sendall(b"ZZZZ\r\n")
        assert ended(connection)
    assert healthy(server)


def test_refusal_reaches_a_client_that_sends_all_before_it_reads(server: Server) -> None:
    with connected(server) as connection:
        body = b"x" * 90_000_000
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body)
        answer = connection.recv(65536)
    assert b" 413 " in answer.splitlines()[0]
    assert b"connection: close" in answer.lower()


def test_answer_to_a_body_without_end_ends(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        with pytest.raises((ConnectionError, TimeoutError)):
            for _ in range(400):
                connection.sendall(chunk)
    assert healthy(server)
