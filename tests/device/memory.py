"""Commands under a memory limit, by a control group of the kernel.

A limit of the address space would mislead: the emulator maps far more than it uses. A group counts
what is really held, the emulator itself and the files read included, so that what passes here would
pass with the same memory on the device.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from report import NotRun

MB = 2**20


@dataclass(frozen=True)
class Interface:
    """Where a version of control groups keeps what is used here."""

    mount: Path
    limit: str
    # With swap the limit would only slow a command down. Name and value for a limit in bytes;
    # a kernel that does not count swap has no such file.
    swap: str
    swap_beyond_limit: bool
    peak: str
    events: str


INTERFACES = (
    Interface(
        mount=Path("/sys/fs/cgroup/memory"),
        limit="memory.limit_in_bytes",
        swap="memory.memsw.limit_in_bytes",
        swap_beyond_limit=False,
        peak="memory.max_usage_in_bytes",
        events="memory.oom_control",
    ),
    Interface(
        mount=Path("/sys/fs/cgroup"),
        limit="memory.max",
        swap="memory.swap.max",
        swap_beyond_limit=True,
        peak="memory.peak",
        events="memory.events",
    ),
)


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    code: int
    out: str
    err: str
    # None without a limit, or where the kernel does not tell.
    peak_mb: int | None = None
    out_of_memory: bool = False


def run(
    command: list[str | Path],
    *,
    limit_mb: int | None,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Finished:
    """Run a command to its end, in a group of its own where there is a limit."""
    with _group(limit_mb) as group:

        def enter() -> None:
            if group is not None:
                (group.folder / "cgroup.procs").write_text("0")  # 0: the process that writes

        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_environment(variables or {}),
            cwd=folder,
            preexec_fn=enter,
        )
        return Finished(
            done.returncode,
            done.stdout,
            done.stderr,
            peak_mb=group.peak_mb() if group else None,
            out_of_memory=group.out_of_memory() if group else False,
        )


def check_limit(limit_mb: int) -> None:
    """Make sure that the limit bites: a program that takes more must be stopped.

    Raises:
        NotRun: no limit can be set here, or it stops nothing.
    """
    try:
        greedy = run([sys.executable, "-c", f"b'x' * {limit_mb * MB}"], limit_mb=limit_mb)
    except (OSError, subprocess.SubprocessError) as error:
        raise NotRun(f"it needs root and control groups: {error}") from error
    if greedy.code == 0 or not greedy.out_of_memory:
        raise NotRun(f"a program that took {limit_mb} MB was not stopped")


@dataclass(frozen=True)
class _Group:
    folder: Path
    interface: Interface

    def peak_mb(self) -> int | None:
        try:
            return int((self.folder / self.interface.peak).read_text()) // MB
        except FileNotFoundError:  # version 2 before Linux 5.19
            return None

    def out_of_memory(self) -> bool:
        lines = (self.folder / self.interface.events).read_text().splitlines()
        return any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in lines)


@contextmanager
def _group(limit_mb: int | None) -> Iterator[_Group | None]:
    if limit_mb is None:
        yield None
        return
    first, second = INTERFACES  # the second version has no folder for memory alone
    interface = first if first.mount.is_dir() else second
    folder = interface.mount / f"cxr-edge-device-{os.getpid()}"
    folder.mkdir()
    try:
        limit = str(limit_mb * MB)
        _write(folder / interface.limit, limit)
        swap = folder / interface.swap
        if swap.exists():
            _write(swap, "0" if interface.swap_beyond_limit else limit)
        yield _Group(folder, interface)
    finally:
        folder.rmdir()


def _write(file: Path, text: str) -> None:
    # Opened without creating: the file's absence is to be told as such.
    with file.open("r+") as stream:
        stream.write(text)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    # PYTHONPATH and its like are this computer's, and would lead to its packages.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return own | dict(variables)
