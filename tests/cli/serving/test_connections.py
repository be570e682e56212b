"""Connections that stall, on sockets: what no well-behaved client does."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from serving import PHANTOM, Server, running_server

HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\n"
# The server's limits, made short.
SETTINGS = "import cxr_edge.serving.connections as c; c.Connection.stalled_s = 0.5; "
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


def test_client_that_takes_no_answer_is_let_go_and_its_room_is_free(server: Server) -> None:
    film = PHANTOM.read_bytes()
    deaf = []
    for _ in range(17):  # all that one worker lets wait
        connection = connected(server)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = HEAD.replace(b"classify ", b"classify?picture=true&force=true ")
        connection.sendall(request + b"Content-Length: %d\r\n\r\n" % len(film) + film)
        deaf.append(connection)
    for _ in range(100):
        request = urllib.request.Request(f"{server.address}/v1/classify", film, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                assert response.status == 200
                break
        except urllib.error.HTTPError as error:
            assert error.code == 503  # none is left: some have not been found out yet
            time.sleep(0.1)
    else:
        raise AssertionError("their room was never free again")
    for connection in deaf:
        connection.close()


def test_only_so_many_connections_are_taken() -> None:
    with running_server("--threads", 1, before=FEW.replace("0.5", "60")) as server:
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
            raise AssertionError("no room was made")
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
