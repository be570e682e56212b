"""Connections that stall, on sockets: what no well-behaved client does."""

import io
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from serving import PHANTOM, Server, running_server

HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# The server's limits, made short.
SETTINGS = (
    "import cxr_edge.serving.connections as c; "
    "c.Connection.stalled_s = 0.5; c.Connection.head_s = 2.0; "
)
FEW = SETTINGS + "c.Connection.most = 8; "


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server("--threads", 1, before=SETTINGS) as started:
        yield started


def connected(server: Server) -> socket.socket:
    host, port = server.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def healthy(server: Server) -> bool:
    with urllib.request.urlopen(f"{server.address}/healthz", timeout=20) as response:
        return bool(json.load(response)["status"] == "ok")


def ended(connection: socket.socket) -> bool:
    """Whether the server ends a connection."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    "sent",
    [b"", b"POST /v1/classify HT", HEAD, HEAD + b"Content-Length: 81000000\r\n\r\n" + b"x" * 99],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_client_that_says_no_more_is_let_go(server: Server, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(sent)
        assert ended(connection)
    assert healthy(server)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"G"),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""),
        (HEAD.replace(b"127.0.0.1", b"evil.example") + b"Content-Length: 9\r\n\r\n", b"x"),
    ],
    ids=["begins another", "says no more", "refused with a body to come"],
)
def test_client_that_stalls_after_an_answer_is_let_go(
    server: Server, first: bytes, then: bytes
) -> None:
    with connected(server) as connection:
        connection.sendall(first)
        time.sleep(0.2)
        connection.sendall(then)
        assert ended(connection)


def test_head_that_comes_by_drops_has_an_end(server: Server) -> None:
    with connected(server) as connection, pytest.raises(ConnectionError):
        for _ in range(200):
            connection.sendall(b"G")
            time.sleep(0.1)


def test_steady_upload_and_steady_reader_are_not_cut(server: Server) -> None:
    film = PHANTOM.read_bytes()
    part = len(film) // 8 + 1
    with connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = HEAD.replace(b"classify ", b"classify?picture=true&force=true ")
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(film))
        for start in range(0, len(film), part):
            connection.sendall(film[start : start + part])
            time.sleep(0.2)
        answer = b""
        while b"}]}" not in answer[-8:]:
            received = connection.recv(16384)
            assert received
            answer += received
            time.sleep(0.05)


def test_client_that_takes_no_answer_is_let_go(server: Server) -> None:
    # Larger than what the system holds for a connection.
    noise = np.random.default_rng(0).integers(0, 256, (2600, 2600), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG", compress_level=0)
    film = buffer.getvalue()
    head = HEAD.replace(b"classify ", b"classify?picture=true&force=true ")
    with connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(film) + film)
        time.sleep(4)
        # What the system had taken still comes, then nothing more.
        received = 0
        while part := connection.recv(65536):
            received += len(part)
        assert received < len(film)


def test_damaged_chunk_after_a_refusal_ends_the_connection_quietly(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n"
        )
        time.sleep(0.2)
        connection.sendall(b"ZZZZ\r\n")
        assert ended(connection)
    assert healthy(server)


def test_only_so_many_connections_are_taken() -> None:
    with running_server(
        "--threads", 1, before=FEW.replace("0.5", "60").replace("2.0", "60")
    ) as server:
        silent = [connected(server) for _ in range(8)]
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            healthy(server)
        silent.pop().close()
        for _ in range(50):
            try:
                assert healthy(server)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        else:
            raise AssertionError("no lease was made")
        for connection in silent:
            connection.close()
        assert server.stop() == 0


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
