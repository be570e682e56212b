"""The response to a request that gets no result."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cxr_edge_runtime.result_json import RESULT_SCHEMA_VERSION, Problem, SchemaVersion

# Seconds after which a client that met a full queue may come again; a film takes a part of one.
RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class ProblemContent:
    """The body of an error response."""

    schema_version: SchemaVersion
    error: Problem


class ProblemResponse(Exception):
    """A request that gets no result.

    Attributes:
        status: HTTP status code.
        kind: one word for programs.
        message: what is wrong and what to do.
        headers: additional response headers.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Describe the problem."""
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The response in HTTP."""
        content = ProblemContent(RESULT_SCHEMA_VERSION, Problem(self.kind, self.message))
        return JSONResponse(asdict(content), self.status, self.headers)


def busy() -> ProblemResponse:
    """The queue is full."""
    return ProblemResponse(
        503,
        "Busy",
        "this device is already handling as many requests as it accepts, from this client or in "
        "total; try again in a moment",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


def too_large(most_bytes: int) -> ProblemResponse:
    """A body has more bytes than is taken."""
    return ProblemResponse(
        413,
        "TooLarge",
        f"a request may have {most_bytes // 1_000_000} MB in total; send fewer or smaller films",
    )


def refused(request: Request, error: Exception) -> Response:
    """Exception handler: a problem response, or an internal error that reveals nothing."""
    if isinstance(error, ProblemResponse):
        # Its frames hold what was read of the body, and the rest may come for a minute.
        error.__context__ = error.__traceback__ = None
        return error.response()
    return ProblemResponse(
        500, "InternalError", "internal error of the server; see its log"
    ).response()
