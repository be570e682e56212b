"""A request's body as films: only in memory, and refused while it is being read."""

import io
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from cxr_edge.serving.admission import Lease
from cxr_edge.serving.problems import ProblemResponse, too_large
from cxr_edge_runtime.images.decoding_limits import MAX_BYTES

# A film as large as the runtime takes, with the lines around it.
MOST_BYTES = MAX_BYTES + 1_000_000
MOST_FILMS = 64
# Characters of a name in the response.
_LONGEST_NAME = 255
_UNNAMED = "film"
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Film:
    """One film of a request.

    Attributes:
        name: the client's, only for the response; it is no path here.
        content: its bytes.
    """

    name: str
    content: bytes


class _InMemory(MultiPartParser):
    """Nothing of a film is ever written to a disk."""

    spool_max_size = 2 * MOST_BYTES


async def read_films(request: Request, lease: Lease, *, most: int) -> AsyncIterator[Film]:
    """The films of a request: the files of a form, or the whole body.

    Args:
        request: its body has not been read.
        lease: the bytes that are read are held in it.
        most: films there may be.

    Raises:
        ProblemResponse: too large, damaged, without a film, or more than this server holds.
    """
    chunks = _within_limits(request, lease)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MULTIPART:
        body = io.BytesIO()
        async for chunk in chunks:
            body.write(chunk)
        content = body.getvalue()  # the same bytes; to join chunks would hold them twice
        del body
        if not content:
            raise ProblemResponse(400, "NoFilm", "the body is empty; send a film")
        yield Film(_UNNAMED, content)
        return
    try:
        form = await _InMemory(request.headers, chunks, max_files=most, max_fields=most).parse()
    except MultiPartException as error:
        raise ProblemResponse(
            400, "InvalidForm", f"the form cannot be read: {error.message}"
        ) from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise ProblemResponse(
                400, "NoFilm", "the form has no file; send films as files of the form"
            )
        for file in files:
            # As above; read() would hold the film twice.
            content = file.file._file.getvalue()  # type: ignore[attr-defined]
            await file.close()
            yield Film(shown_name(file.filename), content)
    finally:
        await form.close()


def shown_name(name: str | None) -> str:
    """The last part of a client's file name, short and without control characters."""
    last = PureWindowsPath(PurePosixPath(name or "").name).name
    printable = "".join(letter for letter in last if letter.isprintable())
    return printable[:_LONGEST_NAME] or _UNNAMED


async def _within_limits(request: Request, lease: Lease) -> AsyncGenerator[bytes, None]:
    # Only what has come is held: what is announced may never come.
    if _announced(request.headers.get("content-length")) > MOST_BYTES:
        raise too_large(MOST_BYTES)
    n_bytes = 0
    try:
        async for chunk in request.stream():
            n_bytes += len(chunk)
            if n_bytes > MOST_BYTES:
                raise too_large(MOST_BYTES)
            lease.reserve(len(chunk))
            yield chunk
    except ClientDisconnect:
        raise ProblemResponse(400, "Disconnected", "the client disconnected") from None


def _announced(length: str | None) -> int:
    # The server has refused what is no number.
    return int(length) if length and length.isdecimal() else 0
