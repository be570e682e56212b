"""Silence for native libraries that write to the terminal on their own."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Two threads that redirect the descriptor at once could leave it redirected for good.
_lock = threading.RLock()


@contextmanager
def stderr_silenced() -> Iterator[None]:
    """Hide what is written to file descriptor 2 meanwhile, by native code too.

    LiteRT prints a line on its delegate when it loads a model, TensorFlow several. The descriptor
    belongs to the whole process: other threads are silenced as well.
    """
    with _lock:
        sys.stderr.flush()
        saved = os.dup(2)
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a name, not a path
                os.dup2(nowhere.fileno(), 2)
            yield
            sys.stderr.flush()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
