"""What a command takes of memory and processor, for tests that state a bound."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SECONDS_BETWEEN = 0.005


@dataclass(frozen=True, slots=True)
class Usage:
    """A command that ended.

    Attributes:
        code: its exit code; negative where a signal ended it.
        out: standard output.
        err: standard error.
        peak_mb: the most memory that it and its children held at once, in MB of 10^6 bytes.
        cpu_seconds: processor time of it and of the children that it waited for.
    """

    code: int
    out: str
    err: str
    peak_mb: float
    cpu_seconds: float


def resident_bytes(pid: int) -> int:
    """Memory of a process and its children now."""
    total, waiting = 0, [pid]
    while waiting:
        process = Path("/proc", str(waiting.pop()))
        try:
            total += int((process / "statm").read_text().split()[1])
            for thread in (process / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except (OSError, IndexError):
            pass  # it has ended meanwhile
    return total * os.sysconf("SC_PAGE_SIZE")


def _highest_bytes(pid: int) -> int:
    """The most that a process alone has held; short peaks count, too."""
    try:
        lines = Path("/proc", str(pid), "status").read_text().splitlines()
    except OSError:
        return 0
    return max(
        (1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), default=0
    )


class PeakMemory:
    """Within, the memory of a process and its children is watched; ``bytes`` is the highest."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_SECONDS_BETWEEN):
            self.bytes = max(self.bytes, resident_bytes(self._pid), _highest_bytes(self._pid))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, and of its children that ended."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measured(command: Sequence[str | Path], *, content: bytes = b"", timeout: float = 300) -> Usage:
    """Run a command to its end.

    Args:
        command: the program and its arguments.
        content: its standard input.
        timeout: seconds after which it is killed and the test fails.
    """
    process = subprocess.Popen(
        [*map(str, command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    before = os.times()
    with PeakMemory(process.pid) as peak:
        try:
            out, err = process.communicate(content, timeout=timeout)
        finally:
            process.kill()
            process.wait()
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Usage(process.returncode, out.decode(), err.decode(), peak.bytes / 1e6, cpu)


def classify(*arguments: object, content: bytes = b"") -> Usage:
    """``cxr-edge classify`` as a process of its own."""
    program = "from cxr_edge.__main__ import main; main()"
    command = [sys.executable, "-c", program, "classify", *map(str, arguments)]
    return measured(command, content=content)
