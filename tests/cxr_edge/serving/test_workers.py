import gc
import threading
import weakref
from concurrent.futures import CancelledError
from typing import Any

import pytest

from cxr_edge.serving.workers import Workers


class Film:
    """Something whose memory counts."""


def test_each_thread_has_a_classifier_of_its_own() -> None:
    made: list[object] = []
    both = threading.Barrier(2, timeout=60)

    def make() -> Any:
        made.append(object())
        return made[-1]

    workers = Workers(make, threads=2)
    assert len(made) == 2

    def work(classifier: Any) -> Any:
        both.wait()
        return classifier

    futures = [workers.submit(work, client="a") for _ in range(4)]
    found = [future.result() for future in futures]
    assert set(map(id, found)) == set(map(id, made))
    workers.close()


def test_what_is_cancelled_is_let_go_of_although_no_thread_is_free() -> None:
    let_go = threading.Event()
    workers = Workers(lambda: None, threads=1)  # type: ignore[arg-type, return-value]
    first = workers.submit(lambda _: let_go.wait(60), client="a")
    film = Film()
    seen = weakref.ref(film)
    second = workers.submit(lambda _, film=film: film, client="a")  # type: ignore[misc]
    del film
    assert second.cancel()
    gc.collect()
    assert seen() is None
    let_go.set()
    assert first.result()
    with pytest.raises(CancelledError):
        second.result()
    assert workers.submit(lambda _: 7, client="a").result() == 7
    workers.close()


def test_client_with_one_piece_waits_for_one_piece_of_another_and_not_for_all() -> None:
    begun, let_go, done = threading.Event(), threading.Event(), list[str]()
    workers = Workers(lambda: None, threads=1)  # type: ignore[arg-type, return-value]

    def work(name: str) -> Any:
        return lambda _: done.append(name)

    workers.submit(lambda _: begun.set() or let_go.wait(60), client="a")
    assert begun.wait(60)
    names = ["a1", "a2", "a3", "b1", "c1", "b2"]
    futures = [workers.submit(work(name), client=name[0]) for name in names]
    futures[0].cancel()
    let_go.set()
    workers.close()
    assert done == ["b1", "c1", "a2", "b2", "a3"]
    assert not workers._waiting


def test_error_of_work_is_that_of_its_result() -> None:
    workers = Workers(lambda: None, threads=1)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda _: 1 // 0, client="a").result()
    workers.close()
