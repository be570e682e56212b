"""uvicorn around the application: one process, and a clean end."""

import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.console.terminal import say
from cxr_edge.process import exit_codes
from cxr_edge.serving.app import PATHS
from cxr_edge.serving.connections import Connection
from cxr_edge.serving.middleware import HttpMiddleware
from cxr_edge_runtime.errors import InvalidRequest

# Seconds that requests under way may still take after SIGTERM.
LAST_SECONDS = 130
_BACKLOG = 128
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")


class RequestLog(HttpMiddleware):
    """Middleware: a line a request on standard error, without anything that a client named."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then say how it ended."""
        started, status = time.monotonic(), 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            # Its words may hold a name; where it happened is what helps.
            last = traceback.extract_tb(error.__traceback__)[-1]
            say(f"error: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}")
        finally:
            # Another method or path than those there are may be a patient's name.
            method = scope["method"] if scope["method"] in METHODS else "(unknown method)"
            route = scope["path"] if scope["path"] in PATHS else "(unknown path)"
            milliseconds = (time.monotonic() - started) * 1000
            # Not say(): what makes a line fit for a terminal took a twentieth of all the time.
            print(
                f"{method} {route} {status or 'no answer'} {milliseconds:.0f} ms", file=sys.stderr
            )


def listen(host: str, port: int) -> socket.socket:
    """A socket that requests come to.

    Raises:
        InvalidRequest: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        # Python adds the address to the system's words.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InvalidRequest(
            f"cannot listen on {host} port {port}: {reason}; choose another --host or --port"
        ) from None
    # Connections inherit it. asyncio sets it on sockets of its own alone; without it the small last
    # part of an answer waited 40 ms for the client's system.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class _Server(uvicorn.Server):
    """A server for which SIGTERM and Ctrl-C are the usual end, not a death by a signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Within, the first signal ends well and a second one at once."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what was taken; when told so again, end without."""
        if self.should_exit:
            os._exit(exit_codes.of_signal(sig))  # a worker's thread would be waited for otherwise
        self.should_exit = True


def run(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished."""
    settings: dict[str, Any] = {
        "http": Connection,
        "ws": "none",
        "access_log": False,
        "log_level": logging.ERROR,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": LAST_SECONDS,
        "lifespan": "on",
    }
    _Server(uvicorn.Config(RequestLog(app), **settings)).run([listening])
