"""uvicorn around the application: one process, and a clean end."""

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.terminal import say
from cxr_edge_runtime.errors import InvalidRequest

# Seconds that requests under way may still take after SIGTERM.
LAST_SECONDS = 130
_BACKLOG = 128


class RequestLog:
    """Middleware: a line a request on standard error, without anything that a client named."""

    def __init__(self, app: ASGIApp) -> None:
        """Log the requests of an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then say how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            # Of a path that is no route's only that it is none: it may hold a patient's name.
            route = scope["path"] if scope.get("endpoint") else "(unknown path)"
            milliseconds = (time.monotonic() - started) * 1000
            say(f"{scope['method']} {route} {status or 'no answer'} {milliseconds:.0f} ms")


def listen(host: str, port: int) -> socket.socket:
    """A socket that requests come to.

    Raises:
        InvalidRequest: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        # Python adds the address to the system's words.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InvalidRequest(
            f"cannot listen on {host} port {port}: {reason}; choose another --host or --port"
        ) from None


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


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished."""
    settings: dict[str, Any] = {
        "access_log": False,
        "log_level": logging.WARNING,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": LAST_SECONDS,
        "lifespan": "on",
    }
    _Server(uvicorn.Config(RequestLog(app), **settings)).run([listening])
