"""Hiding what native libraries print to the terminal on their own."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

# Of threads that overlap, the first redirects the descriptor and the last restores it. The lock is
# not held in between, so it cannot be part of a deadlock.
_lock = threading.Lock()
_threads = 0
_saved = _CLOSED = -1


@contextlib.contextmanager
def stderr_silenced() -> Iterator[None]:
    """Discard what is written to file descriptor 2 within the block, also by native code.

    LiteRT prints a line about its delegate when it loads a model, TensorFlow prints several. The
    descriptor belongs to the whole process, so other threads are silenced too; a program that calls
    :func:`keep_python_heard` once still shows what Python writes.
    """
    _redirect()
    try:
        yield
    finally:
        _restore()


def keep_python_heard() -> None:
    """Give ``sys.stderr`` a descriptor of its own, which :func:`stderr_silenced` does not touch.

    It is meant for programs, which call it once when they start.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or not a file
        own = os.dup(sys.stderr.fileno())
        sys.stderr = open(  # noqa: SIM115, PTH123  # open as long as the process
            own, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
        )


def _redirect() -> None:
    global _threads, _saved
    with _lock:
        if _threads == 0:
            _flush_stderr()
            try:
                _saved = os.dup(2)
            except OSError:
                _saved = _CLOSED
                _threads += 1
                return
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # a name, not a path
                os.dup2(nowhere.fileno(), 2)
        _threads += 1


def _restore() -> None:
    global _threads
    with _lock:
        _threads -= 1
        if _threads == 0:
            _flush_stderr()
            if _saved != _CLOSED:
                os.dup2(_saved, 2)
                os.close(_saved)


def _flush_stderr() -> None:
    # None where the process was started without; on a full disk it fails.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
