"""Several processes that read files; their facts come back in order, a few at a time."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from types import ModuleType

from cxr_edge_runtime.device import available_cores
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_train.cleaning import reading
from cxr_edge_train.cleaning.reading import FileFacts, read_facts

# Batches under way for each process: enough that none waits while the first is collected.
_AHEAD = 3
# Starting processes takes about as long as reading this many small films.
_WORTH_STARTING = 64
_SAFE_PATH = "PYTHONSAFEPATH"


def read_batches(
    batches: Iterable[Sequence[str]], *, workers: int | None = None
) -> Iterator[list[FileFacts]]:
    """Read batches of files, one batch per task.

    The first few are read in this process; only then are others started. A few batches are taken
    from the iterable before the first is handed back, never all.

    Args:
        batches: paths of files; a batch may be empty.
        workers: number of processes, by default one per available core.

    Yields:
        The facts of each batch, in the given order.

    Raises:
        DatasetError: a process was killed.
    """
    batches = iter(batches)
    workers = workers or available_cores()
    read = 0
    for batch in batches:
        yield read_facts(batch)
        read += len(batch)
        if workers > 1 and read >= _WORTH_STARTING:
            break
    else:
        return
    with _start_safely():  # what keeps its locks is a process, too
        pool = _pool(workers)
    waiting: deque[Future[list[FileFacts]]] = deque()
    try:
        for batch in batches:
            with _start_safely():  # a pool starts its processes when work is submitted
                waiting.append(pool.submit(read_facts, batch))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise DatasetError(
            "a process that reads images was killed, most likely for lack of memory; run again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Forking this process itself would copy what runs in it, such as TensorFlow's threads.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([reading.__name__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)


@contextlib.contextmanager
def _start_safely() -> Iterator[None]:
    """Keep a new process from running the user's script again, and what is beside the films.

    multiprocessing imports the parent's main module in the child, in case the work refers to it:
    a script that cleans a data set without ``if __name__ == "__main__"`` would clean it in every
    child, too. Ours refers to nothing there. The server that starts the others runs with ``-c``,
    which has Python import from the current folder first; the variable prevents that.
    """
    main, safe_path = sys.modules["__main__"], os.environ.get(_SAFE_PATH)
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if safe_path is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = safe_path


def _follow_parent() -> None:
    # The parent stops its workers on Ctrl-C; they would each print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Nobody stops them when the parent is killed outright.
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    with contextlib.suppress(OSError):
        connection.wait([sentinel])
    os._exit(1)
