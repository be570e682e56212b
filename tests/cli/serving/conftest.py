"""The application in this process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from cxr_edge.bundles import load_bundle
from cxr_edge.serving.app import make_app
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier


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
