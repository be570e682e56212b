"""How much is taken on at once, so that a small device never has more than it can hold."""

from collections.abc import Iterator
from contextlib import contextmanager

from cxr_edge.serving.refusals import busy


class Admission:
    """Counts the requests under way and the bytes of their bodies; used by one event loop."""

    def __init__(self, *, requests: int, n_bytes: int) -> None:
        """Take the most of both."""
        self._requests, self._bytes = requests, n_bytes

    @contextmanager
    def request(self) -> Iterator["Room"]:
        """Room for one request while it is under way.

        Raises:
            Refusal: there are as many as may be.
        """
        if not self._requests:
            raise busy()
        self._requests -= 1
        room = Room(self)
        try:
            yield room
        finally:
            self._requests += 1
            self._bytes += room.taken

    def _take(self, n_bytes: int) -> None:
        if n_bytes > self._bytes:
            raise busy()
        self._bytes -= n_bytes


class Room:
    """The bytes that one request holds."""

    def __init__(self, admission: Admission) -> None:
        """Hold nothing yet."""
        self._admission = admission
        self.taken = 0

    def hold(self, n_bytes: int) -> None:
        """Hold so many in all; what was held before counts.

        Raises:
            Refusal: others hold too much.
        """
        if n_bytes > self.taken:
            self._admission._take(n_bytes - self.taken)
            self.taken = n_bytes
