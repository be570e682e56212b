"""What systemd is told where it started the server, and what the system cannot do for its unit."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

# The controllers of version 2, and of version 1 with whether each is enabled in the last column; a
# kernel of today may leave out of the second what the first one has.
_CONTROLLERS, _CGROUPS = Path("/sys/fs/cgroup/cgroup.controllers"), Path("/proc/cgroups")
_MICROSECONDS = 1e6


@asynccontextmanager
async def ready() -> AsyncIterator[None]:
    """Say that the server is ready, within that it is alive, and at the end that it stops.

    The protocol is sd_notify(3). Where no systemd asks for it, nothing is said.
    """
    _notify("READY=1")
    watchdog = asyncio.create_task(_say_alive())
    try:
        yield
    finally:
        _notify("STOPPING=1")
        watchdog.cancel()


def memory_limit_is_off() -> bool:
    """Whether systemd started the server and this kernel keeps no unit to its ``MemoryMax``.

    Raspberry Pi OS switches the control group of memory off.
    """
    if "INVOCATION_ID" not in os.environ:
        return False
    controllers, cgroups = (
        file.read_text() if file.is_file() else "" for file in (_CONTROLLERS, _CGROUPS)
    )
    enabled = "memory" in controllers.split() or any(
        line.startswith("memory\t") and line.endswith("\t1") for line in cgroups.splitlines()
    )
    return bool(controllers or cgroups) and not enabled


async def _say_alive() -> None:
    microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
    if not microseconds:
        return
    while True:
        _notify("WATCHDOG=1")
        await asyncio.sleep(microseconds / _MICROSECONDS / 2)


def _notify(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An address that begins with @ is an abstract one.
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking, suppress(OSError):
        speaking.sendto(state.encode(), name)
