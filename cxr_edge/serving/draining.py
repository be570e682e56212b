"""A refusal reaches its client although the rest of the request was not read."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from cxr_edge.serving.middleware import HttpMiddleware

# Of a body that nobody wants: a client that is still sending reads no answer, and one that sends
# without end gets none.
MOST_DROPPED_BYTES, MOST_DROPPED_S = 100_000_000, 60.0


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
