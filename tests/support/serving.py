"""``cxr-edge serve`` as a process of its own, for tests."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
    program = f"{before}from cxr_edge.cli import main; main()"
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
