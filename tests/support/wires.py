"""Connections of the server in this process, whose time passes when a test says so."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from cxr_edge.serving.connections import Connection


class _Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when, self.call = when, call

    def cancel(self) -> None:
        self.call = lambda: None


class Transport(asyncio.Transport):
    """What a connection sees of a socket; ``unsent`` is what its client has not taken."""

    def __init__(self, wires: "Wires", address: str) -> None:
        super().__init__({"peername": (address, 1234), "sockname": ("192.0.2.1", 8000)})
        self.sent, self.unsent, self.ended = b"", 0, False
        self.wires, self.connection = wires, None

    def write(self, data: Any) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        if not self.ended:
            self.ended = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    close = abort


class Wires:
    """The connections of one server.

    Attributes:
        connections: those that are open.
    """

    def __init__(self, app: Any, **limits: object) -> None:
        """Serve an application; limits are attributes of :class:`Connection`."""
        self._now, self._timers = 1000.0, list[_Timer]()
        self._class = type("Timed", (Connection,), {"clock": lambda _: self._now, **limits})
        self._config = uvicorn.Config(app, lifespan="off", log_level="critical")
        self._state = ServerState()
        self.connections = self._state.connections

    def connect(self, address: str = "192.0.2.7") -> Transport:
        """A new connection from an address."""
        transport = Transport(self, address)
        transport.connection = self._class(self._config, self._state, {}, self)
        transport.connection.connection_made(transport)
        return transport

    async def send(self, transport: Transport, data: bytes) -> None:
        """Bytes of the client; what follows from them is done."""
        if data:  # as asyncio, for which nothing is the end
            transport.connection.data_received(data)
        await self.settle()

    async def settle(self) -> None:
        """Let everything be done that waits for nothing."""
        for _ in range(6):
            await asyncio.sleep(0)

    async def passes(self, seconds: float) -> None:
        """Time, with what is due in it."""
        end = self._now + seconds
        while due := [timer for timer in self._timers if timer.when <= end]:
            first = min(due, key=lambda timer: timer.when)
            self._timers.remove(first)
            self._now = first.when
            first.call()
            await self.settle()
        self._now = end
        await self.settle()

    # What a connection asks of its loop.

    def call_later(self, seconds: float, call: Callable[[], None]) -> _Timer:
        self._timers.append(_Timer(self._now + seconds, call))
        return self._timers[-1]

    def create_task(self, task: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(task, **options)
