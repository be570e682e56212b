"""uvicorn around the application: one process, and a clean end."""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from cxr_edge.monitoring.log_writer import PATIENCE_S, PredictionRecorder
from cxr_edge.monitoring.prediction_log import PredictionLog
from cxr_edge.serving.app import make_app
from cxr_edge.serving.connections import Connection
from cxr_edge.serving.security import is_loopback
from cxr_edge.serving.server_log import RequestLog, ServerLog, library_records
from cxr_edge.serving.workers import Workers
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.errors import InvalidRequest, LogError

__all__ = ["ServerLog", "application", "is_loopback", "listen", "run"]

# Seconds that requests under way may still take after SIGTERM.
LAST_SECONDS = 130
_BACKLOG = 128
# Bytes of a response that the system holds for a connection; it would hold 4 MB of its own accord,
# which count as the unit's memory and which nobody has reserved.
_SEND_BUFFER = 262_144


def listen(host: str, port: int) -> socket.socket:
    """A socket that requests come to.

    Raises:
        InvalidRequest: another program listens there, or this device has no such address.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        # Python adds the address to the system's text.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InvalidRequest(
            f"cannot listen on {host} port {port}: {reason}; choose another host or port"
        ) from None
    # Connections inherit it. asyncio sets it only on sockets of its own; without it the small last
    # part of a response waited 40 ms for the client's system.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    return listening


@contextmanager
def application(
    bundle: Bundle,
    *,
    threads: int,
    engine: str | None,
    prevalence: float | None,
    token: str | None,
    own_hosts_only: bool,
    log: Path | None,
    log_keep: timedelta | None,
    on_log_error: Callable[[LogError], None],
) -> Iterator[ASGIApp]:
    """The application, with its workers and its log.

    Args:
        bundle: the bundle to serve.
        threads: films at once.
        engine: see :func:`cxr_edge_runtime.engines.open_engine`.
        prevalence: see :class:`cxr_edge_runtime.classifier.Classifier`.
        token: see :func:`cxr_edge.serving.app.make_app`.
        own_hosts_only: see :func:`cxr_edge.serving.app.make_app`.
        log: log of predictions that gets a row for each film; None writes none.
        log_keep: see :class:`PredictionLog`.
        on_log_error: see :class:`PredictionRecorder`.

    Raises:
        LogError: the log cannot be opened.
        EngineError: the model cannot be loaded.
    """
    opened = None if log is None else PredictionLog(log, patience_s=PATIENCE_S, keep=log_keep)
    try:
        yield make_app(
            bundle,
            # An update may remove the bundle's folder.
            Workers(
                lambda: Classifier(bundle, engine=engine, prevalence=prevalence).read_all(),
                threads=threads,
            ),
            threads=threads,
            prevalence=prevalence,
            token=token,
            own_hosts_only=own_hosts_only,
            log=None if opened is None else PredictionRecorder(opened, on_log_error),
        )
    finally:
        if opened is not None:
            opened.close()


class _Server(uvicorn.Server):
    """A server for which SIGTERM and Ctrl-C are the usual end, not a death by a signal."""

    def __init__(self, config: uvicorn.Config, end_at_once: Callable[[int], None]) -> None:
        """Serve; a second signal calls a function with its number."""
        super().__init__(config)
        self._end_at_once = end_at_once

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Within, the first signal ends well and a second one at once."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what was taken; at a second signal end at once."""
        if self.should_exit:
            self._end_at_once(sig)
        self.should_exit = True


def run(
    app: ASGIApp,
    listening: socket.socket,
    *,
    log: ServerLog,
    end_at_once: Callable[[int], None],
) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished.

    Args:
        app: from :func:`application`.
        listening: from :func:`listen`.
        log: gets a line per request.
        end_at_once: ends the process when a second signal, of this number, comes; it must not wait
            for threads.
    """
    options: dict[str, Any] = {
        "http": Connection,
        "loop": "asyncio",  # whose transports read as little at once as a connection says
        "ws": "none",
        "access_log": False,
        "log_config": None,
        "log_level": logging.WARNING,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "timeout_graceful_shutdown": LAST_SECONDS,
        "lifespan": "on",
    }
    config = uvicorn.Config(RequestLog(app, log), **options)
    with library_records(log):
        _Server(config, end_at_once).run([listening])
