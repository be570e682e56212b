"""What a connection may cost: how many there are, and how long one may be silent or not listen."""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# Below the 1,024 files that a process usually may have open, with room for others.
MOST_CONNECTIONS = 256
# Seconds without a byte from a client that has something to say, or without one taken by it.
STALLED_S = 10.0


class Connection(H11Protocol):
    """uvicorn's HTTP connection, which ends where the client stalls."""

    most = MOST_CONNECTIONS
    stalled_s = STALLED_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, unless there are as many as may be."""
        self._heard, self._unsent = time.monotonic(), 0
        self._timer: asyncio.TimerHandle | None = None
        if len(self.connections) >= self.most:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop looking at it."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note that the client is not silent."""
        self._heard = time.monotonic()
        super().data_received(data)

    def _watch(self) -> None:
        """End a connection whose client has stalled; look again in a moment."""
        unsent = self.transport.get_write_buffer_size()
        deaf = bool(unsent) and unsent >= self._unsent > 0
        silent = self._is_awaited() and time.monotonic() - self._heard > self.stalled_s
        if deaf or silent:
            # close() would wait for the client to take what is left.
            self.transport.abort()
            return
        self._unsent = unsent
        self._timer = asyncio.get_running_loop().call_later(self.stalled_s, self._watch)

    def _is_awaited(self) -> bool:
        """Whether the next byte must come from the client: a request's head or its body."""
        cycle: Any = self.cycle
        return cycle is None or (cycle.more_body and not cycle.response_complete)
