"""What a connection may cost: how many there are, and how long one may be silent or not listen."""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Below the 1,024 files that a process usually may have open, with room for others.
MOST_CONNECTIONS = 256
# Seconds without a byte from a client that has something to say, or without one taken by it.
STALLED_S = 10.0
# Seconds from the first byte of a request's head to its last.
HEAD_S = 30.0


class Connection(H11Protocol):
    """uvicorn's HTTP connection, which ends where the client stalls."""

    most = MOST_CONNECTIONS
    stalled_s = STALLED_S
    head_s = HEAD_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are as many as may be."""
        self._heard = time.monotonic()
        self._head_began: float | None = self._heard
        # The request whose response was being sent at the last check, and how much was left.
        self._responding_to: Any = None
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None
        if len(self.connections) >= self.most:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop checking it."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note that the client is not silent, and when a request's head began."""
        self._heard = time.monotonic()
        before = self.cycle
        if self._head_began is None and (before is None or before.response_complete):
            self._head_began = self._heard
        super().data_received(data)
        if self.cycle is not before:
            self._head_began = None

    def on_response_complete(self) -> None:
        """Note that from now on the client may be silent."""
        self._heard = time.monotonic()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Respond to what is no HTTP, unless a response has begun already."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
            return
        super().send_400_response(msg)

    def _watch(self) -> None:
        """End a connection whose client has stalled; look again in a moment."""
        now, unsent = time.monotonic(), self.transport.get_write_buffer_size()
        if not self._is_awaited(unsent):
            self._heard = now  # a client that waits for its response is not silent
        deaf = self.cycle is self._responding_to and unsent >= self._unsent > 0
        silent = now - self._heard > self.stalled_s
        slow = self._head_began is not None and now - self._head_began > self.head_s
        if deaf or slow or (silent and not self._has_response()):
            # close() would wait for the client to take what is left.
            self.transport.abort()
            return
        if silent:
            # The system may still be sending the end of the response, which abort() would lose.
            self.transport.close()
            return
        self._responding_to, self._unsent = self.cycle, unsent
        self._timer = asyncio.get_running_loop().call_later(self.stalled_s, self._watch)

    def _is_awaited(self, unsent: int) -> bool:
        """Whether the next byte must come from the client: of a head or of a body."""
        cycle: Any = self.cycle
        return cycle is None or cycle.more_body or (self._has_response() and not unsent)

    def _has_response(self) -> bool:
        return self.cycle is not None and bool(self.cycle.response_complete)
