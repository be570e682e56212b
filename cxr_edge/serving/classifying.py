"""``POST /v1/classify``: from a request that is admitted to a response that was received."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from cxr_edge.monitoring.log_writer import PredictionRecorder
from cxr_edge.serving.admission import Admission
from cxr_edge.serving.clients import client_of
from cxr_edge.serving.dicom_response import check_installed, multipart
from cxr_edge.serving.film_response import RequestOptions, film_response
from cxr_edge.serving.problems import ProblemResponse
from cxr_edge.serving.uploads import MOST_FILMS, read_films
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.batch import Result

# Bytes of a response that fits into what uvicorn sends without waiting for the client.
_LARGE = 50_000
# Bytes of a response that are sent before uvicorn waits for the client to take them: more than are
# taken in a period by a client that is just not too slow; see Connection.resume_writing.
PART = 128_000
_YES, _NO = ("1", "true"), ("0", "false")


class Classify:
    """``POST /v1/classify``: one film or several, until the client has received the response."""

    def __init__(
        self,
        workers: Workers,
        admission: Admission,
        most_seconds: float,
        log: PredictionRecorder | None = None,
        count: Callable[[Result], None] | None = None,
    ) -> None:
        """Classify with workers the requests that get a lease."""
        self._workers, self._admission, self._most_seconds = workers, admission, most_seconds
        self._log, self._count = log, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit the request, or refuse it."""
        request = Request(scope, receive)
        options = _options(request)
        lease = self._admission.acquire(client_of(scope))
        work: Future[dict[str, Any]] | None = None
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            body = message.get("body", b"")
            if len(body) > _LARGE:
                # uvicorn waits for the client before a message, not after: so one more follows.
                for at in range(0, len(body), PART):
                    part = body[at : at + PART]
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            async with asyncio.timeout(self._most_seconds):
                results: list[dict[str, Any]] = []
                # A picture is larger than its film, and DICOM answers are, too.
                most = 1 if options.picture or options.dicom else MOST_FILMS
                # One after the other: the films of a request wait like those of others.
                async for film in read_films(request, lease, most=most):
                    if not results:
                        lease.body_arrived()
                    work = self._workers.submit(
                        partial(
                            film_response,
                            film=film,
                            options=options,
                            log=self._log,
                            count=self._count,
                        ),
                        client=lease.client,
                    )
                    results.append(await _unless_gone(work, receive))
                del film
                files = [file for one in results for file in one.get("dicom", ())]
                pictures = [one.get("picture", "") for one in results]
                lease.change_to_response(sum(map(len, [*files, *pictures])))
                failed = all("error" in result for result in results)
                response = (
                    multipart(files)
                    if files
                    else JSONResponse({"results": results}, 422 if failed else 200)
                )
                del files, pictures
                for result in results:
                    result.clear()  # the work has it, too, and a picture would be held twice
                # The lease lasts until the response is received: until then it fills memory, too.
                await response(scope, receive, send_noting)
        except TimeoutError:
            if begun:
                return  # the connection ends in the middle of the response
            raise ProblemResponse(
                504,
                "TooSlow",
                f"the request took more than {self._most_seconds:.0f} s; send fewer or smaller "
                "films",
            ) from None
        finally:
            _when_done(work, lease.release)


async def _unless_gone(work: Future[dict[str, Any]], receive: Receive) -> dict[str, Any]:
    """What a worker returns, unless the client goes away before.

    Raises:
        ProblemResponse: the client went away.
    """
    done = asyncio.ensure_future(asyncio.wrap_future(work))
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({done, gone}, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            result: dict[str, Any] = done.result()
            return result
        raise ProblemResponse(400, "Disconnected", "the client disconnected")
    finally:
        for task in (done, gone):
            task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _when_done(work: Future[Any] | None, release: Callable[[], None]) -> None:
    """Release a lease when no worker has a film of it: work that runs cannot be cancelled."""
    if work is None or work.done():
        release()
        return
    loop = asyncio.get_running_loop()

    def release_soon(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(release)

    work.add_done_callback(release_soon)


def _options(request: Request) -> RequestOptions:
    """What the query asks for.

    Raises:
        ProblemResponse: an unknown name or value.
    """
    names = {"force": "force", "map": "activation_map", "picture": "picture"}
    found: dict[str, bool] = {}
    for name, value in request.query_params.multi_items():
        if (name, value) == ("as", "dicom"):
            check_installed()
            found["dicom"] = True
            continue
        if name not in names or value not in (*_YES, *_NO):
            raise ProblemResponse(
                400,
                "InvalidQuery",
                f"the query parameters are {', '.join(names)}, each true or false, and as=dicom",
            )
        found[names[name]] = value in _YES
    if found.get("dicom") and (found.get("picture") or found.get("activation_map")):
        raise ProblemResponse(
            400, "InvalidQuery", "map and picture cannot be combined with as=dicom"
        )
    return RequestOptions(**found)
