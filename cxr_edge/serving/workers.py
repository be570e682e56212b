"""Threads that classify, each with an engine of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from cxr_edge_runtime.classifier import Classifier

T = TypeVar("T")


class Workers:
    """Runs work on classifiers, at most one piece a thread at a time."""

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

    def submit(self, work: Callable[[Classifier], T]) -> Future[T]:
        """Have work done by the next free thread; what is cancelled is let go of at once."""
        # The pool would keep it, with its film, until a thread is free.
        kept = [work]
        future = self._pool.submit(lambda: kept.pop()(self._own.classifier))
        future.add_done_callback(lambda done: kept.clear() if done.cancelled() else None)
        return future

    def close(self) -> None:
        """Finish what was taken, then end the threads."""
        self._pool.shutdown()

    def _begin(self) -> None:
        self._own.classifier = self._free.pop()
