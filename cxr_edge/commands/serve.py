"""``cxr-edge serve``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console import options
from cxr_edge.console.terminal import say
from cxr_edge_runtime.errors import InvalidRequest

TOKEN_VARIABLE = "CXR_EDGE_TOKEN"
# Shorter ones can be guessed.
SHORTEST_TOKEN = 16


def serve(
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen on; others than this device's own need a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
    ] = 8000,
    bundle: options.BundleOption = None,
    engine: options.Engine = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help=f"Holds the token that the API asks for; or set {TOKEN_VARIABLE}.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, max=64, help="Films at once; all cores without it."),
    ] = None,
    log: options.Log = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let everybody in the network ask, without a token.")
    ] = False,
) -> None:
    """Serve a page and an API that classify films on this device.

    No film is stored and nothing leaves the device. Research use only. Not a medical device.

    SIGTERM and Ctrl-C finish what was taken; a second one ends at once.
    """
    import warnings
    from contextlib import ExitStack

    from cxr_edge.serving.security import is_loopback

    token = read_token(token_file)
    alone = is_loopback(host)
    if token is None and not alone and not insecure:
        raise InvalidRequest(
            f"--host {host}: everybody in the network could send films; "
            f"give --token-file, set {TOKEN_VARIABLE}, or say --insecure"
        )
    if token is None and not alone:
        say(f"warning: everybody who reaches {host} can send films and read the answers")
    elif not alone:
        say("warning: token and films cross the network unencrypted; put a TLS proxy before it")

    from cxr_edge.bundles.lookup import load_bundle
    from cxr_edge.monitoring.log_writer import PATIENCE_S, PredictionRecorder
    from cxr_edge.monitoring.prediction_log import PredictionLog
    from cxr_edge.serving.app import make_app
    from cxr_edge.serving.server import listen, run
    from cxr_edge.serving.workers import Workers
    from cxr_edge_runtime.classifier import Classifier
    from cxr_edge_runtime.device import available_cores

    # Memory of films is not returned one by one as `classify` does: with uploads copied through
    # several threads that took a sixth of the throughput.
    # For all threads, as in `classify`: pydicom's warnings quote what is written in a film.
    warnings.simplefilter("ignore")
    loaded = load_bundle(bundle)
    count = threads or available_cores()
    with listen(host, port) as listening, ExitStack() as files:
        predictions = None
        if log is not None:
            opened = PredictionLog(log, patience_s=PATIENCE_S)
            files.callback(opened.close)
            predictions = PredictionRecorder(
                opened, lambda error: say(f"error: {error}; predictions go on without it")
            )
        workers = Workers(lambda: Classifier(loaded, engine=engine), threads=count)
        own_hosts_only = alone and token is None
        app = make_app(
            loaded,
            workers,
            threads=count,
            token=token,
            own_hosts_only=own_hosts_only,
            log=predictions,
        )
        address, bound_port = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        say(f"{loaded.manifest.notice} Model: {loaded.manifest.name} {loaded.manifest.version}")
        say(f"listening on http://{shown}:{bound_port}/ with {count} workers; Ctrl-C stops")
        run(app, listening)


def read_token(file: Path | None) -> str | None:
    """The token of a file, else of the environment; None where there is neither.

    Raises:
        InvalidRequest: the file cannot be read, or the token is too short or no plain text.
    """
    if file is not None:
        try:
            token, where = file.read_text(encoding="utf-8").strip(), f"--token-file {file}"
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no text"
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
