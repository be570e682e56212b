"""The application in this process."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge.bundles.lookup import load_bundle
from cxr_edge.serving.app import make_app
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from waiting import PATIENCE_S


@pytest.fixture(scope="session")
def shipped() -> Bundle:
    return load_bundle(None)


@pytest.fixture
def serve(shipped: Bundle) -> Iterator[Callable[..., TestClient]]:
    """Make a client of an application; options as of ``make_app``."""
    clients = []

    def make(threads: int = 1, classifier: Callable[[], Any] | None = None, **options: Any):
        workers = Workers(classifier or (lambda: Classifier(shipped)), threads=threads)
        app = make_app(shipped, workers, threads=threads, **options)
        client = TestClient(app, raise_server_exceptions=False)
        clients.append(client.__enter__())
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


class Held(Classifier):
    """A classifier that waits until it is let go."""

    def __init__(self, bundle: Bundle, let_go: threading.Event, begun: threading.Semaphore) -> None:
        super().__init__(bundle)
        self._let_go, self._begun = let_go, begun

    def classify(self, *arguments: Any, **options: Any) -> Any:
        self._begun.release()
        assert self._let_go.wait(PATIENCE_S)
        return super().classify(*arguments, **options)


@pytest.fixture
def held(shipped: Bundle) -> Iterator[Any]:
    """How to make such classifiers, what lets them go, and what counts those that wait."""
    let_go, begun = threading.Event(), threading.Semaphore(0)
    yield (lambda: Held(shipped, let_go, begun)), let_go, begun
    let_go.set()
