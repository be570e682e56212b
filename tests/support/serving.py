"""``cxr-edge serve`` as a process of its own, for tests."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usage import PeakMemory, cpu_seconds

ROOT = Path(__file__).resolve().parents[2]
PHANTOM = ROOT / "data" / "samples" / "phantom_clear_1.jpeg"


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    said: list[str]

    def takes_connections(self) -> bool:
        """Whether the server still listens."""
        host, port = self.address.removeprefix("http://").split(":")
        try:
            socket.create_connection((host, int(port)), timeout=60).close()
        except ConnectionError:
            return False
        return True

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        self.said += self.process.communicate(timeout=60)[1].splitlines()
        return self.process.returncode


@contextmanager
def running_server(*arguments: object, before: str = "", **environment: str) -> Iterator[Server]:
    """``cxr-edge serve`` on a free port; ``before`` is Python that is run first."""
    program = f"{before}from cxr_edge.__main__ import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--port", "0", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        cwd=ROOT,
    )
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line.rstrip())
            found = re.search(r"listening on (http://\S+)/ ", line)
            if found:
                yield Server(process, found[1], said)
                return
        raise AssertionError(f"the server did not start: {said}")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


# Of docs/cxr-edge.service, which ends the server beyond this.
UNIT_MB = 460
# As the unit has them.
_UNIT_WORKERS = 2
_UNIT = (ROOT / "docs" / "cxr-edge.service").read_text()
_UNIT_ENVIRONMENT = dict(
    setting.split("=")
    for line in re.findall(r"^Environment=(.*)$", _UNIT, re.MULTILINE)
    for setting in line.split()
)


def as_the_unit() -> AbstractContextManager[Server]:
    """A server as docs/cxr-edge.service runs it."""
    return running_server("--threads", _UNIT_WORKERS, **_UNIT_ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Served:
    """What a server made of films.

    Attributes:
        statuses: of the responses, in the order of the films.
        results: what each film's response says of it: a result, or an ``error``.
        peak_mb: the most memory that the server and its children held at once, in MB of 10^6
            bytes, from before the first film.
        cpu_seconds: processor time that all films took, children included.
    """

    statuses: list[int]
    results: list[dict[str, Any]]
    peak_mb: float
    cpu_seconds: float


def served(
    *films: bytes | Callable[[], bytes], query: str = "", at_once: int = _UNIT_WORKERS
) -> Served:
    """Send films, each from a client of its own, to a server as docs/cxr-edge.service runs it.

    A server that dies, as the unit's does beyond its memory, fails the test; one that is busy is
    asked again when it says so.

    Args:
        films: contents of files, or what makes them, so that few are there at once.
        query: of the requests, such as ``map=true&picture=true``.
        at_once: requests at once; by default as many as there are workers.
    """
    with (
        as_the_unit() as server,
        ThreadPoolExecutor(at_once) as pool,
    ):
        pid = server.process.pid
        before = cpu_seconds(pid)

        def send(client: int, film: bytes | Callable[[], bytes]) -> tuple[int, dict[str, Any]]:
            film = film() if callable(film) else film
            request = urllib.request.Request(
                f"{server.address}/v1/classify?{query}",
                film,
                {"X-Forwarded-For": f"192.0.2.{client}"},
            )
            while True:
                try:
                    with urllib.request.urlopen(request, timeout=300) as response:
                        body = response.read()
                        is_json = response.headers["Content-Type"] == "application/json"
                        return response.status, json.loads(body) if is_json else {"body": body}
                except urllib.error.HTTPError as error:
                    with error:
                        if error.code != 503:
                            return error.code, json.load(error)
                    time.sleep(int(error.headers["Retry-After"]))

        with PeakMemory(pid) as peak:
            answers = list(pool.map(send, range(len(films)), films))
        taken = cpu_seconds(pid) - before
        assert server.stop() == 0, server.said
    return Served(
        [status for status, _ in answers],
        [body["results"][0] if "results" in body else body for _, body in answers],
        peak.bytes / 1e6,
        taken,
    )
