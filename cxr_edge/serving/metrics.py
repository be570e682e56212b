"""``GET /metrics`` in the text format of Prometheus, where prometheus-client is installed.

Nothing that a client sent is a label: no name of a file, a patient or a client.
"""

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.serving.middleware import HttpMiddleware
from cxr_edge.serving.security import METRICS
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Prediction
from cxr_edge_runtime.errors import CxrEdgeError

# Seconds: a small film takes some milliseconds on a PC, a large one a second on a small board.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """What a server counts from its start on."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, bundle: Bundle, *, waiting: Callable[[], int]) -> None:
        """Begin to count.

        Args:
            bundle: the bundle that is served.
            waiting: gives the number of films that wait for a worker.
        """
        self._registry = registry = CollectorRegistry()
        self._films = Counter(
            "cxr_edge_films",
            "Films by the gate's verdict and the label; a film that cannot be used "
            "counts as failed.",
            ("verdict", "label"),
            registry=registry,
        )
        self._requests = Counter(
            "cxr_edge_requests", "Requests by HTTP status.", ("status",), registry=registry
        )
        self._stages = Histogram(
            "cxr_edge_stage_seconds",
            "Seconds per film in each stage.",
            ("stage",),
            buckets=_BUCKETS,
            registry=registry,
        )
        queue = Gauge("cxr_edge_queue", "Films waiting for a worker.", registry=registry)
        queue.set_function(waiting)
        manifest = bundle.manifest
        Info("cxr_edge_bundle", "The bundle in use.", registry=registry).info(
            {"name": manifest.name, "version": manifest.version, "digest": bundle.digest}
        )

    def film(self, found: Prediction | CxrEdgeError) -> None:
        """Count a film."""
        if isinstance(found, CxrEdgeError):
            self._films.labels("failed", "").inc()
            return
        self._films.labels(found.gate.verdict, found.label or "").inc()
        for stage, milliseconds in found.timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def request(self, status: int) -> None:
        """Count a request by its status; 0 where the connection ended without one."""
        self._requests.labels(str(status) if status else "none").inc()

    def text(self) -> bytes:
        """All counts in Prometheus' text format."""
        return generate_latest(self._registry)


class CountRequests(HttpMiddleware):
    """Middleware: counts all requests but those that ask for the counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Count the requests of an application."""
        super().__init__(app)
        self._metrics = metrics

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then count how it ended."""
        status = 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            if scope["path"] != METRICS:
                self._metrics.request(status)
