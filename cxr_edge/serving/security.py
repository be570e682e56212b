"""Who may ask, and what a browser may do with the answers."""

import hmac

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_edge.serving.refusals import Refusal

API = "/v1/"
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


class Guard:
    """Middleware: a token for the API, no requests of other sites' pages, headers on everything."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        """Guard an application; None asks for no token."""
        self._app = app
        self._token = token.encode("ascii") if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        refusal = self._refusal(Request(scope))
        if refusal is not None:
            await refusal.response()(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Refusal | None:
        if not request.url.path.startswith(API):
            return None
        # Browsers say so; the page of another site could make a visitor's browser ask.
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return Refusal(403, "OtherSite", "requests of other sites' pages are not answered")
        if self._token is None:
            return None
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        if scheme.lower() == _SCHEME and right:
            return None
        return Refusal(
            401,
            "TokenNeeded",
            "send the server's token as 'Authorization: Bearer TOKEN'",
            {"WWW-Authenticate": "Bearer"},
        )
