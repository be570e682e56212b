"""``cxr-edge serve``."""

import os
import stat
import sys
import warnings
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import printable
from cxr_edge.process import exit_codes
from cxr_edge_runtime.counting import counted
from cxr_edge_runtime.device import available_cores
from cxr_edge_runtime.errors import InvalidRequest

TOKEN_VARIABLE = "CXR_EDGE_TOKEN"
# Shorter ones can be guessed.
SHORTEST_TOKEN = 16


class LogFormat(StrEnum):
    """What a line of the server's log is."""

    TEXT = "text"
    JSON = "json"


def serve(
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen on; other than loopback needs a token.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 for any free port.")
    ] = 8000,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    prevalence: options.Prevalence = None,
    allow_rejected: options.AllowRejected = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help=f"File with the token that the API requires; or set {TOKEN_VARIABLE}.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, max=64, metavar="N", help="Films at once.  [default: all cores]"
        ),
    ] = None,
    log: options.Log = None,
    log_keep: options.LogKeep = None,
    log_format: Annotated[
        LogFormat,
        typer.Option("--log-format", help="Format of the request log on standard error."),
    ] = LogFormat.TEXT,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Accept requests from other hosts without a token."),
    ] = False,
) -> None:
    """Serve a page and an API that classify films.

    No film is stored and nothing leaves the device. Research use only. Not a medical device.

    SIGTERM and Ctrl-C finish the requests that were accepted; a second one stops at once.
    """
    from cxr_edge.bundles.lookup import load_accepted_bundle
    from cxr_edge.bundles.notice import rejection
    from cxr_edge.serving.server import ServerLog, application, is_loopback, listen, run
    from cxr_edge.serving.systemd import memory_limit_is_off

    lines = ServerLog(_write_line, as_json=log_format is LogFormat.JSON)

    def say(text: str) -> None:
        lines.message(printable(text))

    token, keep = read_token(token_file, say=say), options.log_keep(log_keep, log)
    loopback = is_loopback(host)
    if not loopback:
        _warn_of_network(host, token, insecure=insecure, say=say)
    # For all threads, as in `classify`: pydicom's warnings quote what is written in a film. Memory
    # of films is not returned one by one as `classify` does: with uploads copied through several
    # threads that took a sixth of the throughput.
    warnings.simplefilter("ignore")
    loaded = load_accepted_bundle(bundle, allow_rejected=allow_rejected)
    if words := rejection(loaded.manifest):
        say(f"warning: {words}")
    if memory_limit_is_off():
        say(
            "warning: the kernel keeps no service to its MemoryMax; add cgroup_enable=memory to "
            "the line in /boot/firmware/cmdline.txt and restart the device"
        )
    count = threads or available_cores()
    with (
        listen(host, port) as listening,
        application(
            loaded,
            threads=count,
            engine=engine,
            prevalence=prevalence,
            token=token,
            own_hosts_only=loopback and token is None,
            log=log,
            log_keep=keep,
            on_log_error=lambda error: say(f"error: {error}; films are classified, but not logged"),
        ) as app,
    ):
        address, bound_port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        say(f"{loaded.manifest.notice} Model: {loaded.manifest.name} {loaded.manifest.version}")
        workers = counted(count, "worker")
        say(f"listening on http://{shown}:{bound_port}/ with {workers}; Ctrl-C stops")
        run(app, listening, log=lines, end_at_once=_end_at_once)


def _warn_of_network(
    host: str, token: str | None, *, insecure: bool, say: Callable[[str], None]
) -> None:
    if token is not None:
        say("warning: token and films cross the network unencrypted; put a TLS proxy before it")
        return
    if not insecure:
        raise InvalidRequest(
            f"--host {host}: anyone in the network could send films; "
            f"give --token-file, set {TOKEN_VARIABLE}, or say --insecure"
        )
    say(f"warning: anyone who reaches {host} can send films and read the results")


def _write_line(line: str) -> None:
    # What makes a line fit for a terminal took a twentieth of all the time: requests do without.
    print(line, file=sys.stderr)


def _end_at_once(number: int) -> None:
    os._exit(exit_codes.of_signal(number))  # sys.exit would wait for the workers' threads


def read_token(file: Path | None, *, say: Callable[[str], None]) -> str | None:
    """The token in a file, or else in the environment; None where there is neither.

    Args:
        file: None for the environment.
        say: takes a warning.

    Raises:
        InvalidRequest: the file cannot be read, or the token is too short or no plain text.
    """
    if file is not None:
        try:
            token, where = file.read_text(encoding="utf-8").strip(), f"--token-file {file}"
            if file.stat().st_mode & stat.S_IROTH:
                say(
                    f"warning: {file}: every user of this device can read the token; "
                    f"run: chmod o-r {file}"
                )
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text"
            raise InvalidRequest(f"--token-file {file}: {reason}") from None
    elif TOKEN_VARIABLE in os.environ:
        token, where = os.environ[TOKEN_VARIABLE].strip(), TOKEN_VARIABLE
    else:
        return None
    if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise InvalidRequest(
            f"{where}: a token has at least {SHORTEST_TOKEN} letters and digits, without spaces; "
            "make one with: openssl rand -hex 32"
        )
    return token
