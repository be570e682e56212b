"""The routes of the page and of the API, and how the application ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cxr_edge.monitoring.log_writer import PredictionRecorder
from cxr_edge.serving import systemd
from cxr_edge.serving.admission import Admission
from cxr_edge.serving.classifying import Classify
from cxr_edge.serving.connections import MOST_CONNECTIONS
from cxr_edge.serving.middleware import DrainRequestBody
from cxr_edge.serving.model_card import ModelDescription, card_page
from cxr_edge.serving.openapi import Health, description
from cxr_edge.serving.problems import ProblemResponse, refused
from cxr_edge.serving.security import METRICS, Guard
from cxr_edge.serving.uploads import MOST_BYTES
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle

if TYPE_CHECKING:
    from cxr_edge.serving.metrics import Metrics

# Requests that may wait for each worker, beside the one it is at; one client has half of them.
WAITING = 32
# Requests whose body is arriving, so that connections are left for everything else.
MOST_UPLOADS = MOST_CONNECTIONS // 2
# One of the largest films and one of half its size at once, with what they are decoded to, are what
# 460 MB can hold.
MOST_BYTES_HELD = 8 * MOST_BYTES // 5
# Reading, waiting and classifying together; one film may take the runtime's minute.
MOST_SECONDS = 120.0

_SCRIPTS = ("page", "card", "film")
_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    # One of data/samples.
    "/drawing.jpeg": ("drawing.jpeg", "image/jpeg"),
}
# The only ones.
PATHS = frozenset(
    {*_PAGE, "/v1/classify", "/v1/model", "/healthz", "/openapi.json", "/model", METRICS}
)


def make_app(
    bundle: Bundle,
    workers: Workers,
    *,
    threads: int,
    token: str | None = None,
    own_hosts_only: bool = False,
    prevalence: float | None = None,
    most_seconds: float = MOST_SECONDS,
    log: PredictionRecorder | None = None,
) -> ASGIApp:
    """The application.

    Args:
        bundle: that the workers classify with.
        workers: closed when the application ends.
        threads: how many workers there are.
        token: that the API requires; None requires none.
        own_hosts_only: see :class:`cxr_edge.serving.security.Guard`.
        prevalence: the one that the workers move probabilities to; None for the bundle's.
        most_seconds: seconds that a request may take.
        log: takes a row per film that was classified; None logs nothing.

    Raises:
        BundleCorrupted: the model card changed since the bundle was loaded.
    """
    admission = Admission(
        uploads=MOST_UPLOADS,
        requests=threads * (1 + WAITING),
        n_bytes=MOST_BYTES_HELD,
    )
    metrics = _metrics(bundle, workers)
    count = metrics.film if metrics else None
    classify = Classify(workers, admission, most_seconds, log, count)
    # Nothing is read later: an update of the bundle, or of this program, removes its files.
    model_description = asdict(ModelDescription.of(bundle, prevalence=prevalence))
    api_description = description(token_needed=token is not None)
    card_html = card_page(bundle)

    async def model(request: Request) -> Response:
        return JSONResponse(model_description)

    async def health(request: Request) -> Response:
        return JSONResponse(asdict(Health()))

    async def openapi(request: Request) -> Response:
        return JSONResponse(api_description)

    async def card(request: Request) -> Response:
        return HTMLResponse(card_html)

    async def counts(request: Request) -> Response:
        if metrics is None:
            raise ProblemResponse(404, "NotFound", "metrics need prometheus-client on the server")
        return Response(metrics.text(), media_type=metrics.media_type)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with systemd.ready():
            yield
        # What was taken is finished: uvicorn waits for the requests, this for their films.
        await asyncio.to_thread(workers.close)

    app = Starlette(
        routes=[
            Route("/v1/classify", classify, methods=["POST"]),
            Route("/v1/model", model),
            Route("/healthz", health),
            Route("/openapi.json", openapi),
            Route("/model", card),
            Route(METRICS, counts),
            *(Route(path, _file(*part)) for path, part in _PAGE.items()),
        ],
        exception_handlers={
            ProblemResponse: refused,
            HTTPException: _http_error,
            Exception: refused,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would send a client to the host that the client named
    # Outside of everything: errors have the headers too.
    guarded: ASGIApp = DrainRequestBody(Guard(app, token, own_hosts_only=own_hosts_only))
    if metrics is None:
        return guarded
    from cxr_edge.serving.metrics import CountRequests

    return CountRequests(guarded, metrics)


def _metrics(bundle: Bundle, workers: Workers) -> "Metrics | None":
    try:
        from cxr_edge.serving.metrics import Metrics
    except ModuleNotFoundError:
        return None
    return Metrics(bundle, waiting=lambda: workers.waiting)


def _file(name: str, media_type: str) -> Any:
    content = resources.files("cxr_edge.serving").joinpath("page", name).read_bytes()

    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds = {404: "NotFound", 405: "WrongMethod"}
    return ProblemResponse(
        error.status_code, kinds.get(error.status_code, "Refused"), error.detail, error.headers
    ).response()
