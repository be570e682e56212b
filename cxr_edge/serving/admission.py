"""How much is taken on at once, so that a small device never has more than it can hold."""

from cxr_edge.serving.problems import busy


class Admission:
    """Counts the requests under way and the bytes they hold; used by one event loop."""

    def __init__(self, *, requests: int, n_bytes: int) -> None:
        """Set the maximum of both."""
        self._requests, self._bytes = requests, n_bytes

    def acquire(self) -> "Lease":
        """A lease for one request, until it is released.

        Raises:
            ProblemResponse: there are as many as may be.
        """
        if not self._requests:
            raise busy()
        self._requests -= 1
        return Lease(self)

    def _take(self, n_bytes: int) -> None:
        if n_bytes > self._bytes:
            raise busy()
        self._bytes -= n_bytes

    def _give_back(self, n_bytes: int) -> None:
        self._requests += 1
        self._bytes += n_bytes


class Lease:
    """The bytes that one request holds."""

    def __init__(self, admission: Admission) -> None:
        """Hold nothing yet."""
        self._admission = admission
        self._held = 0

    def reserve(self, n_bytes: int) -> None:
        """Reserve more bytes.

        Raises:
            ProblemResponse: others hold too much.
        """
        self._admission._take(n_bytes)
        self._held += n_bytes

    def release(self) -> None:
        """Return everything. Call it once."""
        self._admission._give_back(self._held)
