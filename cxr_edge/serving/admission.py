"""How much is taken on at once, for all clients and for each, so that nobody can take everything.

A small device never has more than it can hold, and a client that sends slowly, or too much, finds
its own share used up, not that of the others.
"""

from collections import Counter

from cxr_edge.serving.problems import busy

# Of all bytes, the share that bodies of one client may hold, and its bodies with what is sent to
# it. The difference is for one response, so that of several one always comes to its end.
_BODIES, _ALL = 5 / 8, 3 / 4


class _Places:
    """A number of places, of which a client may have as many as it leaves free."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._taken: Counter[str] = Counter()

    def has_one_for(self, client: str) -> bool:
        return self._taken[client] < self._free

    def take(self, client: str) -> None:
        """Take a place.

        Raises:
            ProblemResponse: none is free for this client.
        """
        if not self.has_one_for(client):
            raise busy()
        self._free -= 1
        self._taken[client] += 1

    def give_back(self, client: str) -> None:
        self._free += 1
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]  # there are many clients in a year


class Admission:
    """Counts the requests under way and the bytes they hold; used by one event loop.

    A request whose body is still arriving has no place among those that wait for a worker: slow
    clients would hold them all.
    """

    def __init__(self, *, uploads: int, requests: int, n_bytes: int) -> None:
        """Set what there may be at most.

        Args:
            uploads: requests whose body is arriving.
            requests: requests whose body has arrived and whose response has not been received.
            n_bytes: bytes that all of them hold; bodies of one client hold 5/8 of them.
        """
        self._uploads, self._requests = _Places(uploads), _Places(requests)
        self._all_bytes = self._bytes = n_bytes
        self._bytes_of: Counter[str] = Counter()

    def acquire(self, client: str) -> "Lease":
        """A lease for one request, until it is released.

        Args:
            client: who sends it; see :func:`cxr_edge.serving.clients.client_of`.

        Raises:
            ProblemResponse: there are as many as may be.
        """
        # Said before the body is sent, not after.
        if not self._requests.has_one_for(client):
            raise busy()
        self._uploads.take(client)
        return Lease(self, client)

    def _take(self, client: str, n_bytes: int, share: float) -> None:
        if n_bytes > min(self._bytes, share * self._all_bytes - self._bytes_of[client]):
            raise busy()
        self._bytes -= n_bytes
        self._bytes_of[client] += n_bytes

    def _give_back(self, client: str, n_bytes: int) -> None:
        self._bytes += n_bytes
        self._bytes_of[client] -= n_bytes
        if not self._bytes_of[client]:
            del self._bytes_of[client]


class Lease:
    """What one request holds: a place, and bytes.

    Attributes:
        client: whose request it is.
    """

    def __init__(self, admission: Admission, client: str) -> None:
        """Hold a place among those whose body is arriving, and no byte."""
        self._admission, self.client = admission, client
        self._place = admission._uploads
        self._held = 0

    def body_arrived(self) -> None:
        """Change to a place among those that wait for a worker.

        Raises:
            ProblemResponse: none is free for this client.
        """
        self._admission._requests.take(self.client)
        self._place.give_back(self.client)
        self._place = self._admission._requests

    def reserve(self, n_bytes: int) -> None:
        """Reserve more bytes for the body.

        Raises:
            ProblemResponse: others, or other requests of the client, hold too much.
        """
        self._admission._take(self.client, n_bytes, _BODIES)
        self._held += n_bytes

    def change_to_response(self, n_bytes: int) -> None:
        """Return the bytes of the body, of which nothing is held any more, and reserve these.

        Raises:
            ProblemResponse: others, or other requests of the client, hold too much.
        """
        self._admission._give_back(self.client, self._held)
        self._held = 0
        self._admission._take(self.client, n_bytes, _ALL)
        self._held = n_bytes

    def release(self) -> None:
        """Return everything. Call it once."""
        self._place.give_back(self.client)
        self._admission._give_back(self.client, self._held)
