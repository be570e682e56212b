"""The routes: the page, the API, and how the two end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.serving.admission import Admission
from cxr_edge.serving.answer_log import AnswerLog
from cxr_edge.serving.answers import Wish, answer
from cxr_edge.serving.model_card import card_page
from cxr_edge.serving.openapi import description
from cxr_edge.serving.refusals import Refusal, refused
from cxr_edge.serving.security import Guard
from cxr_edge.serving.unread import DropsUnread
from cxr_edge.serving.uploads import MOST_BYTES, MOST_FILMS, read_films
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.manifest import NOTICE

# Requests that may wait for each worker, beside the one it is at.
WAITING = 16
# Two of the largest films at once, with what they are decoded to, are what 512 MB can hold.
MOST_BYTES_HELD = 2 * MOST_BYTES
# Reading, waiting and classifying together; a film alone may take the runtime's minute.
MOST_SECONDS = 120.0

_PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
# All there are.
PATHS = frozenset({*_PAGE, "/v1/classify", "/v1/model", "/healthz", "/openapi.json", "/model"})
# An answer that fits into what uvicorn sends without waiting for the client.
_LARGE = 50_000
_YES, _NO = ("1", "true"), ("0", "false")


def make_app(
    bundle: Bundle,
    workers: Workers,
    *,
    threads: int,
    token: str | None = None,
    own_hosts_only: bool = False,
    most_seconds: float = MOST_SECONDS,
    log: AnswerLog | None = None,
) -> ASGIApp:
    """The application.

    Args:
        bundle: that the workers classify with.
        workers: closed when the application ends.
        threads: how many workers there are.
        token: asked for by the API; None asks for none.
        own_hosts_only: see :class:`cxr_edge.serving.security.Guard`.
        most_seconds: a request may take.
        log: takes a row a film that was answered.
    """
    admission = Admission(requests=threads * (1 + WAITING), n_bytes=MOST_BYTES_HELD)
    classify = Classify(workers, admission, most_seconds, log)

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

    app = Starlette(
        routes=[
            Route("/v1/classify", classify, methods=["POST"]),
            Route("/v1/model", model),
            Route("/healthz", health),
            Route("/openapi.json", openapi),
            Route("/model", card),
            *(Route(path, _file(*part)) for path, part in _PAGE.items()),
        ],
        exception_handlers={Refusal: refused, HTTPException: _http_error, Exception: refused},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would send a client to the host that the client named
    # Outside of everything: errors have the headers too.
    return DropsUnread(Guard(app, token, own_hosts_only=own_hosts_only))


class Classify:
    """``POST /v1/classify``: one film or several, until the client has taken the answer."""

    def __init__(
        self,
        workers: Workers,
        admission: Admission,
        most_seconds: float,
        log: AnswerLog | None = None,
    ) -> None:
        """Classify with workers, as far as there is room."""
        self._workers, self._admission, self._most_seconds = workers, admission, most_seconds
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the request on, or refuse it."""
        request = Request(scope, receive)
        wish = wishes(request)
        room = self._admission.enter()
        work: Future[dict[str, Any]] | None = None
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            if len(message.get("body", b"")) > _LARGE:
                # uvicorn waits for the client before a message, not after: so one more follows.
                await send({**message, "more_body": True})
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            async with asyncio.timeout(self._most_seconds):
                results = []
                # A picture is larger than its film.
                most = 1 if wish.picture else MOST_FILMS
                # One after the other: the films of a request wait like those of others.
                async for film in read_films(request, room, most=most):
                    work = self._workers.submit(
                        partial(answer, film=film, wish=wish, log=self._log)
                    )
                    results.append(await _unless_gone(work, receive))
                    room.hold(len(results[-1].get("picture", "")))
                failed = all("error" in result for result in results)
                response = JSONResponse({"results": results}, 422 if failed else 200)
                # Room is held until the answer is taken: one that nobody takes fills memory too.
                await response(scope, receive, send_noting)
        except TimeoutError:
            if begun:
                return  # the connection ends with an answer that is not whole
            raise Refusal(
                504,
                "TooSlow",
                f"the request took more than {self._most_seconds:.0f} s; send fewer or smaller "
                "films",
            ) from None
        finally:
            _when_done(work, room.leave)


async def _unless_gone(work: Future[dict[str, Any]], receive: Receive) -> dict[str, Any]:
    """What a worker answers, unless the client goes away before.

    Raises:
        Refusal: it did; nobody will read it.
    """
    answered = asyncio.ensure_future(asyncio.wrap_future(work))
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({answered, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answered.done():
            result: dict[str, Any] = answered.result()
            return result
        raise Refusal(400, "Disconnected", "the client went away")
    finally:
        for task in (answered, gone):
            task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _when_done(work: Future[Any] | None, leave: Callable[[], None]) -> None:
    """Leave when no worker is at a film of the request: work that runs cannot be undone."""
    if work is None or work.done():
        leave()
        return
    loop = asyncio.get_running_loop()

    def leave_soon(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(leave)

    work.add_done_callback(leave_soon)


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
