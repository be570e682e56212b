"""Who may send requests, and what a browser may do with the responses."""

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.serving.middleware import HttpMiddleware
from cxr_edge.serving.problems import ProblemResponse

API, METRICS = "/v1/", "/metrics"
# Nothing but what this server sent is run, loaded or asked; a film is shown from memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SCHEME = "bearer"


class Guard(HttpMiddleware):
    """Middleware: a token for the API, no requests of other sites' pages, headers on everything."""

    def __init__(self, app: ASGIApp, token: str | None, *, own_hosts_only: bool) -> None:
        """Guard an application.

        Args:
            app: all its responses get the headers, errors included.
            token: that the API requires; None requires none.
            own_hosts_only: serve only requests to the names of this device's own address.
                Without a token another site could otherwise give its own name to that address and
                have a browser send requests as if it were this page ("DNS rebinding").
        """
        super().__init__(app)
        self._token = token.encode("ascii") if token is not None else None
        self._own_hosts_only = own_hosts_only

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        # The path as it was sent: an address put together from it has the client's Host in it.
        problem = self._problem(scope["path"], Headers(scope=scope))
        responding = self._app if problem is None else problem.response()
        await responding(scope, receive, send_guarded)

    def _problem(self, path: str, headers: Headers) -> ProblemResponse | None:
        host = headers.get("host")
        # Every browser sends one.
        if self._own_hosts_only and host is not None and not is_loopback(_name(f"//{host}")):
            return ProblemResponse(
                403, "OtherHost", "use this device's own address, such as http://127.0.0.1"
            )
        if not (path.startswith(API) or path == METRICS):
            return None
        # A browser says which page asks; those of other sites could use a visitor's browser.
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        # Where the network has no TLS browsers leave the first out. Behind a proxy Host may be
        # another than the page's, and the first says more.
        other = site in ("cross-site", "same-site") or (
            site is None and origin is not None and origin.partition("://")[2] != host
        )
        if other:
            return ProblemResponse(
                403, "OtherSite", "requests from pages of other sites are refused"
            )
        if self._token is None:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        if scheme.lower() == _SCHEME and right:
            return None
        return ProblemResponse(
            401,
            "TokenNeeded",
            "send the server's token as 'Authorization: Bearer TOKEN'",
            {"WWW-Authenticate": "Bearer"},
        )


def is_loopback(host: str) -> bool:
    """Whether an address or name is the loopback, which only this device reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # brackets that do not close
        return ""
