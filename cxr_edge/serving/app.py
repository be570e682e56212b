"""The routes: the page, the API, and how the two end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from cxr_edge.serving.admission import Admission
from cxr_edge.serving.answers import Wish, answer
from cxr_edge.serving.model_card import card_page
from cxr_edge.serving.openapi import description
from cxr_edge.serving.refusals import Refusal, refused
from cxr_edge.serving.security import Guard
from cxr_edge.serving.uploads import MOST_BYTES, read_films
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.manifest import NOTICE

# Requests that may wait for each worker, beside the one it is at.
WAITING = 16
# Two of the largest films at once are what 512 MB can hold.
MOST_BYTES_HELD = 2 * MOST_BYTES
# Reading, waiting and classifying together; a film alone may take the runtime's minute.
MOST_SECONDS = 120.0

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_YES, _NO = ("1", "true"), ("0", "false")


def make_app(
    bundle: Bundle,
    workers: Workers,
    *,
    threads: int,
    token: str | None = None,
    most_seconds: float = MOST_SECONDS,
) -> Starlette:
    """The application.

    Args:
        bundle: that the workers classify with.
        workers: closed when the application ends.
        threads: how many workers there are.
        token: asked for by the API; None asks for none.
        most_seconds: a request may take.
    """
    admission = Admission(requests=threads * (1 + WAITING), n_bytes=MOST_BYTES_HELD)

    async def classify(request: Request) -> Response:
        wish = wishes(request)
        with admission.request() as room:
            try:
                async with asyncio.timeout(most_seconds):
                    results = []
                    # One after the other: the films of a request wait like those of others, and
                    # are let go of one by one.
                    async for film in read_films(request, room):
                        work = workers.submit(partial(answer, film=film, wish=wish))
                        results.append(await asyncio.wrap_future(work))
            except TimeoutError:
                raise Refusal(
                    504,
                    "TooSlow",
                    f"the request took more than {most_seconds:.0f} s; send fewer or smaller films",
                    {"Connection": "close"},
                ) from None
        failed = all("error" in result for result in results)
        return JSONResponse({"results": results}, 422 if failed else 200)

    async def model(request: Request) -> Response:
        return JSONResponse(model_as_json(bundle))

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def openapi(request: Request) -> Response:
        return JSONResponse(description(token_needed=token is not None))

    async def card(request: Request) -> Response:
        return HTMLResponse(card_page(bundle))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        # What was taken is finished: uvicorn waits for the requests, this for their films.
        await asyncio.to_thread(workers.close)

    return Starlette(
        routes=[
            Route("/v1/classify", classify, methods=["POST"]),
            Route("/v1/model", model),
            Route("/healthz", health),
            Route("/openapi.json", openapi),
            Route("/model", card),
            *(Route(path, _file(*part)) for path, part in _PAGE.items()),
        ],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={Refusal: refused, HTTPException: _http_error, Exception: refused},
        lifespan=lifespan,
    )


def wishes(request: Request) -> Wish:
    """What the query asks for.

    Raises:
        Refusal: an unknown name or value.
    """
    names = {"force": "force", "map": "activation_map", "picture": "picture"}
    found: dict[str, bool] = {}
    for name, value in request.query_params.multi_items():
        if name not in names or value not in (*_YES, *_NO):
            raise Refusal(
                400, "InvalidQuery", f"the query may have {', '.join(names)}, each true or false"
            )
        found[names[name]] = value in _YES
    return Wish(**found)


def model_as_json(bundle: Bundle) -> dict[str, Any]:
    """What ``GET /v1/model`` says of a bundle."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": bundle.digest,
        "labels": list(manifest.labels),
        "positive_label": manifest.positive_label,
        "threshold": manifest.threshold.value,
        "input_gate": manifest.gate is not None,
        "activation_map": "cam" in manifest.outputs,
        "intended_use": manifest.intended_use,
        "notice": NOTICE,
    }


def _file(name: str, media_type: str) -> Any:
    content = resources.files("cxr_edge.serving").joinpath("page", name).read_bytes()

    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds = {404: "NotFound", 405: "WrongMethod"}
    return Refusal(
        error.status_code, kinds.get(error.status_code, "Refused"), error.detail, error.headers
    ).response()
