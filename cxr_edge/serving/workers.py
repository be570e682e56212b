"""Threads that classify, each with an engine of its own."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cxr_edge_runtime.classifier import Classifier

T = TypeVar("T")


class Workers:
    """Runs work on classifiers, at most one piece a thread at a time, for each client in turn."""

    def __init__(self, make_classifier: Callable[[], Classifier], *, threads: int) -> None:
        """Make the classifiers now, so that what is wrong with a bundle is found at the start.

        Args:
            make_classifier: called once for each thread.
            threads: how many.

        Raises:
            CxrEdgeError: a classifier cannot be made.
        """
        self._free = [make_classifier() for _ in range(threads)]
        self._own = threading.local()
        self._pool = ThreadPoolExecutor(threads, "worker", initializer=self._begin)
        # What waits, of each client; the first one's turn is next.
        self._waiting: dict[str, deque[tuple[Future[Any], list[Callable[[Classifier], Any]]]]] = {}
        self._lock = threading.Lock()

    def submit(self, work: Callable[[Classifier], T], *, client: str) -> Future[T]:
        """Have work done by a free thread; what is cancelled is let go of at once.

        Args:
            work: called with the thread's classifier.
            client: whose work it is. Clients take turns, so that what one has sent, however much,
                lets others wait for one piece of it.
        """
        future: Future[T] = Future()
        kept = [work]  # with its film, of which nothing is held when it is cancelled
        future.add_done_callback(lambda done: kept.clear() if done.cancelled() else None)
        with self._lock:
            self._waiting.setdefault(client, deque()).append((future, kept))
        self._pool.submit(self._do_next)
        return future

    @property
    def waiting(self) -> int:
        """The number of pieces of work that no thread has begun."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Finish what was taken, then end the threads."""
        self._pool.shutdown()

    def _do_next(self) -> None:
        with self._lock:
            client = next(iter(self._waiting))
            queue = self._waiting.pop(client)
            future, kept = queue.popleft()
            if queue:
                self._waiting[client] = queue  # now the last
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(kept.pop()(self._own.classifier))
        except BaseException as error:
            future.set_exception(error)
        finally:
            del future  # the error would keep itself and the film, by this frame

    def _begin(self) -> None:
        self._own.classifier = self._free.pop()
