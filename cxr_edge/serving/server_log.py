"""The server's log: a line per request, without anything that a client named."""

import contextlib
import json
import logging
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.serving.app import PATHS
from cxr_edge.serving.middleware import HttpMiddleware

METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")
_ID_BYTES = 8
# Not those that decode films, whose warnings quote what is written in them.
_LIBRARIES = ("asyncio", "python_multipart", "uvicorn")


class ServerLog:
    """Lines of text for a person, or a JSON object a line for programs."""

    def __init__(self, write_line: Callable[[str], None], *, as_json: bool = False) -> None:
        """Write with a function that takes a line."""
        self._write_line, self._as_json = write_line, as_json

    def message(self, text: str) -> None:
        """Write what is no request's."""
        self._write(text, event="message", message=text)

    def request(
        self, request_id: str, *, method: str, route: str, status: int, milliseconds: float
    ) -> None:
        """Write how a request ended.

        Args:
            request_id: the one that the response has as ``X-Request-Id``.
            method: one of :data:`METHODS`.
            route: a path that there is.
            status: 0 where no response was begun.
            milliseconds: until its end.
        """
        self._write(
            f"{method} {route} {status or 'no answer'} {milliseconds:.0f} ms",
            event="request",
            request_id=request_id,
            method=method,
            route=route,
            status=status or None,
            milliseconds=round(milliseconds, 1),
        )

    def failure(self, request_id: str, error: Exception) -> None:
        """Write where the server failed at a request."""
        # Its text may hold a name; where it happened is what helps.
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        self._write(f"error: {text}", event="error", request_id=request_id, message=text)

    def _write(self, text: str, **fields: object) -> None:
        if self._as_json:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            text = json.dumps({"time": at, **fields})
        self._write_line(text)


# What asyncio says where a client closed the connection in the middle of a response.
_CLOSED = "socket.send() raised exception."


class _Records(logging.Handler):
    def __init__(self, log: ServerLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == _CLOSED:  # up to one for each piece of a response that a client left
            return
        # The first line of its template: a value in it may be a client's.
        with contextlib.suppress(OSError):  # nobody reads the log any more
            self._log.message(f"{record.name}: {str(record.msg).partition(chr(10))[0]}")


@contextmanager
def library_records(log: ServerLog) -> Iterator[None]:
    """Within, what the server's libraries warn of is a line of the log, without its values."""
    records = _Records(log)
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    for logger in loggers:
        logger.addHandler(records)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(records)


class RequestLog(HttpMiddleware):
    """Middleware: a line per request, and its id in the response."""

    def __init__(self, app: ASGIApp, log: ServerLog) -> None:
        """Write about an application's requests."""
        super().__init__(app)
        self._log = log

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then write how it ended."""
        started, status = time.monotonic(), 0
        request_id = secrets.token_hex(_ID_BYTES)

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = (b"x-request-id", request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), named]}
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            self._log.failure(request_id, error)
        finally:
            self._log.request(
                request_id,
                # Another method or path than those there are may be a patient's name.
                method=scope["method"] if scope["method"] in METHODS else "(unknown method)",
                route=scope["path"] if scope["path"] in PATHS else "(unknown path)",
                status=status,
                milliseconds=(time.monotonic() - started) * 1000,
            )
