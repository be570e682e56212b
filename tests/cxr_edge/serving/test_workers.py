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

    futures = [workers.submit(work) for _ in range(4)]
    found = [future.result() for future in futures]
    assert set(map(id, found)) == set(map(id, made))
    workers.close()


def test_what_is_cancelled_is_let_go_of_although_no_thread_is_free() -> None:
    let_go = threading.Event()
    workers = Workers(lambda: None, threads=1)  # type: ignore[arg-type, return-value]
    first = workers.submit(lambda _: let_go.wait(60))
    film = Film()
    seen = weakref.ref(film)
    second = workers.submit(lambda _, film=film: film)  # type: ignore[misc]
    del film
    assert second.cancel()
    gc.collect()
    assert seen() is None
    let_go.set()
    assert first.result()
    with pytest.raises(CancelledError):
        second.result()
    assert workers.submit(lambda _: 7).result() == 7
    workers.close()
