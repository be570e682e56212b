"""What a connection may cost: how many there are, and how slow one may be."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from cxr_edge.serving.clients import client_named

# Below the 1,024 files that a process usually may have open, with room for others.
MOST_CONNECTIONS = 256
# Seconds without a byte from a client that has something to say; and the time in which a client
# that sends a body, or takes a response, must move the bytes below.
PERIOD_S = 10.0
# A slow mobile network moves twice as many.
LEAST_BYTES = 100_000
# Seconds from the first byte of a request's head, of 16 kB at most, to its last.
HEAD_S = 10.0
# Of a body in chunks, the bytes that are no content: so many at once, and for each byte of content.
# Each chunk takes 10 microseconds and has 5 such bytes, so all but the first need about 60 bytes of
# content; usual ones have 1000 and more.
MOST_OVERHEAD, OVERHEAD_SHARE = 2000, 1 / 12
# Bytes that a connection takes before others have their turn.
_AT_ONCE = 16_384


class Connection(H11Protocol):
    """uvicorn's HTTP connection, which ends where the client stalls or makes no room."""

    most = MOST_CONNECTIONS
    period_s = PERIOD_S
    least_bytes = LEAST_BYTES
    head_s = HEAD_S
    clock: Callable[[], float] = staticmethod(time.monotonic)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, if one can be had for this client."""
        self._heard = self._idle_since = self.clock()
        self._head_began: float | None = self._heard
        self._timer: asyncio.TimerHandle | None = None
        self._overhead_left: float = MOST_OVERHEAD
        self.transport = transport
        self._client = client_named(str((transport.get_extra_info("peername") or ("",))[0]))
        if not self._has_place():
            transport.abort()
            return
        transport.max_size = _AT_ONCE  # type: ignore[attr-defined]  # of asyncio's own
        super().connection_made(transport)
        self._begin_period()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop checking it."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note that the client is not silent, and when a request's head began.

        A body in chunks that is mostly not content ends the connection.
        """
        self._heard = self.clock()
        self._received += len(data)
        before = self.cycle
        if self._head_began is None and (before is None or before.response_complete):
            self._head_began = self._heard
        at = 0
        while at < len(data) and not self.transport.is_closing():
            step = max(1, int(self._overhead_left))  # all of it may be overhead
            self._take(data[at : at + step])
            at += step
        if self.cycle is not before:
            self._head_began = None
            if self.cycle.more_body and not self.transport.is_closing():
                self._begin_period()  # a body's first one begins with it

    def _take(self, data: bytes) -> None:
        cycle: Any = self.cycle
        n_before = len(cycle.body) if cycle is not None else 0
        in_body = cycle is not None and cycle.more_body
        super().data_received(data)
        if cycle is not self.cycle:
            self._overhead_left = MOST_OVERHEAD
        elif in_body and cycle.more_body:
            n_content = len(cycle.body) - n_before
            left = self._overhead_left + n_content * (1 + OVERHEAD_SHARE) - len(data)
            self._overhead_left = min(left, MOST_OVERHEAD)
            if left < 0:
                self.transport.abort()

    def resume_writing(self) -> None:
        """Note that the client took what waited for it: a part of a response, which is enough."""
        self._unsent = 0
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Note that from now on the client may be silent."""
        self._heard = self._idle_since = self.clock()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Respond to what is no HTTP, unless a response has begun already."""
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
            return
        super().send_400_response(msg)

    def check(self) -> None:
        """End a connection whose client was too slow in the last period; look again after one."""
        now, unsent = self.clock(), self.transport.get_write_buffer_size()
        if not self._is_awaited(unsent):
            self._heard = now  # a client that waits for its response is not silent
        silent = now - self._heard > self.period_s
        slow_head = self._head_began is not None and now - self._head_began > self.head_s
        if slow_head or self._is_slow(unsent) or (silent and not self._has_response()):
            # close() would wait for the client to take what is left.
            self.transport.abort()
            return
        if silent:
            # The system may still be sending the end of the response, which abort() would lose.
            self.transport.close()
            return
        self._begin_period()

    def _begin_period(self) -> None:
        # The request now, what has come since, and how much is to be sent.
        self._checked: Any = self.cycle
        self._received = 0
        self._unsent = self.transport.get_write_buffer_size()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self.period_s, self.check)

    def _has_place(self) -> bool:
        """Whether there may be one more connection of this client; others without a request go.

        A client may have as many as it leaves free. Beyond that, it takes the place of the
        connection that has carried nothing for the longest, of itself or of one that has more.
        """
        others = [other for other in self._others() if not other.transport.is_closing()]
        count = Counter(other._client for other in others)
        own = count[self._client]
        if own < self.most - len(others):
            return True
        idle = [
            other
            for other in others
            if other._is_idle()
            and (other._client == self._client or count[other._client] > own + 1)
        ]
        if not idle:
            return False
        min(idle, key=lambda other: (-count[other._client], other._idle_since)).transport.abort()
        return True

    def _others(self) -> "list[Connection]":
        return [other for other in self.connections if isinstance(other, Connection)]

    def _is_idle(self) -> bool:
        """Whether it carries nothing: no request has come in whole, and no response is sent."""
        return (
            self.cycle is None or self._has_response()
        ) and not self.transport.get_write_buffer_size()

    def _is_slow(self, unsent: int) -> bool:
        """Whether a body came, or a response was taken, by drops for a whole period."""
        cycle: Any = self.cycle
        if cycle is None or cycle is not self._checked:
            return False
        if unsent and self._unsent and self._unsent - unsent < self.least_bytes:
            return True
        sends = cycle.more_body and not self._has_response() and not self.flow.read_paused
        return bool(sends) and self._received < self.least_bytes

    def _is_awaited(self, unsent: int) -> bool:
        """Whether the next byte must come from the client: of a head or of a body."""
        cycle: Any = self.cycle
        return cycle is None or cycle.more_body or (self._has_response() and not unsent)

    def _has_response(self) -> bool:
        return self.cycle is not None and bool(self.cycle.response_complete)
