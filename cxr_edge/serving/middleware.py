"""The layers around the application that see requests alone, and the one that drains bodies."""

import asyncio
from abc import ABC, abstractmethod

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Of a body that nobody wants: a client that is still sending reads no answer, and one that sends
# without end gets none.
MOST_DROPPED_BYTES, MOST_DROPPED_S = 100_000_000, 60.0


class HttpMiddleware(ABC):
    """A layer that sees requests alone; the server's beginning and end pass it by."""

    def __init__(self, app: ASGIApp) -> None:
        """Lie around an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, pass on anything else."""
        handling = self.handle if scope["type"] == "http" else self._app
        await handling(scope, receive, send)

    @abstractmethod
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""


class DrainRequestBody(HttpMiddleware):
    """Middleware: drops what is left of a body, within limits, then ends the connection."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the last part of an answer waits until the body is done with."""
        whole = False

        async def receive_noting() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or not message.get("more_body", False)
            return message

        async def drop() -> None:
            dropped = 0
            while not whole and dropped < MOST_DROPPED_BYTES:
                dropped += len((await receive_noting()).get("body", b""))

        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start" and _has_body(scope) and not whole:
                headers = [*message.get("headers", []), (b"connection", b"close")]
                message = {**message, "headers": headers}
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not (last and _has_body(scope) and not whole):
                await send(message)
                return
            await send({**message, "more_body": True})
            try:
                async with asyncio.timeout(MOST_DROPPED_S):
                    await drop()
            except TimeoutError:
                pass  # the connection ends with what is unread
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, receive_noting, send_late)


def _has_body(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return b"content-length" in names or b"transfer-encoding" in names
