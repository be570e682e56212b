"""How many processor cores this process may use, in a container too."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = "proc/self/cgroup"
_MOUNT = "sys/fs/cgroup"


def available_cores(root: Path = Path("/")) -> int:
    """Count the processor cores that this process may use.

    That is what its CPU affinity allows and what the quotas of its control groups allow, whichever
    is less. A quota of one and a half cores counts as two: with one worker a third of the time that
    is granted would never be used.

    Args:
        root: the folder that has ``proc`` and ``sys``.

    Returns:
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas, in cores, of the process's control groups and of all above them."""
    for line in _text(root / _CGROUPS).splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if hierarchy == "0" and not controllers:
            for folder in _folders(root / _MOUNT, group):
                quota, _, period = _text(folder / "cpu.max").partition(" ")
                yield from _cores(quota, period)
        elif "cpu" in controllers.split(","):
            for folder in _folders(root / _MOUNT / controllers, group):
                quota = _text(folder / "cpu.cfs_quota_us")
                yield from _cores(quota, _text(folder / "cpu.cfs_period_us"))


def _folders(mount: Path, group: str) -> Iterator[Path]:
    """The group's folder and those above it; inside a container only the last may be visible."""
    inside = PurePosixPath(group.lstrip("/"))
    if ".." not in inside.parts:
        yield from (mount / above for above in (inside, *inside.parents))


def _cores(quota: str, period: str) -> Iterator[float]:
    """Yield the quota in cores; nothing where there is none.

    There is none with ``max`` in version 2, -1 in version 1, or no such file.
    """
    try:
        microseconds, of = int(quota), int(period)
    except ValueError:
        return
    if microseconds > 0 and of > 0:
        yield microseconds / of


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
