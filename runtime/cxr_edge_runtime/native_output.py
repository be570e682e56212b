"""Silence for native libraries that write to the terminal on their own."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

# Threads at it together redirect the descriptor once and put it back once. The lock is never held
# while work is done, so it cannot take part in a deadlock.
_lock = threading.Lock()
_threads = 0
_saved = -1


@contextlib.contextmanager
def stderr_silenced() -> Iterator[None]:
    """Hide what is written to file descriptor 2 meanwhile, by native code too.

    LiteRT prints a line on its delegate when it loads a model, TensorFlow several. The descriptor
    belongs to the whole process: other threads are silenced as well, unless they write through
    :func:`keep_python_heard`.
    """
    _redirect()
    try:
        yield
    finally:
        _restore()


def keep_python_heard() -> None:
    """Give ``sys.stderr`` a descriptor of its own, which is never silenced; for programs."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or not a file
        own = os.dup(sys.stderr.fileno())
        sys.stderr = open(  # noqa: SIM115, PTH123  # open as long as the process
            own, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
        )


def _redirect() -> None:
    global _threads, _saved
    with _lock:
        if _threads == 0:
            sys.stderr.flush()
            _saved = os.dup(2)
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a name, not a path
                os.dup2(nowhere.fileno(), 2)
        _threads += 1


def _restore() -> None:
    global _threads
    with _lock:
        _threads -= 1
        if _threads == 0:
            sys.stderr.flush()
            os.dup2(_saved, 2)
            os.close(_saved)
