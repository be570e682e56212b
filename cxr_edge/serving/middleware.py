"""What the layers around the application share."""

from abc import ABC, abstractmethod

from starlette.types import ASGIApp, Receive, Scope, Send


class HttpMiddleware(ABC):
    """A layer that sees requests alone; the server's beginning and end pass it by."""

    def __init__(self, app: ASGIApp) -> None:
        """Lie around an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, pass on anything else."""
        handling = self.handle if scope["type"] == "http" else self._app
        await handling(scope, receive, send)

    @abstractmethod
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
