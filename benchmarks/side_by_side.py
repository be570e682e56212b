"""How every benchmark measures: in turn, as a ratio, against a limit.

Two ways of doing the same work alternate, so that a machine that becomes slower slows both down.
The ratio is taken within each round; its median and range are printed. A median that misses its
limit makes the benchmark exit with 1.

A benchmark is a generator of findings, run from the root of the repository as a module, such as
``python -m benchmarks.start_up``.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """What a benchmark found out about one quantity.

    Attributes:
        title: the quantity.
        values: what was measured, one value for each round.
        unit: the unit of the values; None for a ratio.
        at_most: the limit above which the median is a miss.
        at_least: the limit below which the median is a miss.
    """

    title: str
    values: Sequence[float]
    unit: str | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def missed(self) -> bool:
        """Whether the median misses a limit; a median that is not a number does."""
        median = statistics.median(self.values)
        above = self.at_most is not None and not median <= self.at_most
        below = self.at_least is not None and not median >= self.at_least
        return above or below

    def __str__(self) -> str:
        """The median, the range, the limits and whether they were missed, in one line."""
        text = f"{self.title}: {statistics.median(self.values):.4g}"
        if self.unit:
            text += f" {self.unit}"
        if len(self.values) > 1:
            text += (
                f" ({min(self.values):.4g} to {max(self.values):.4g}, {len(self.values)} rounds)"
            )
        for words, limit in (("at most", self.at_most), ("at least", self.at_least)):
            if limit is not None:
                text += f"; {words} {limit:g} wanted"
        return text + (": MISSED" if self.missed else "")


@dataclass(frozen=True)
class Process:
    """What a process took: wall and processor time, and its peak memory in MiB (2**20 bytes)."""

    seconds: float
    processor_seconds: float
    peak_mib: float


def in_turn(*ways: Callable[[], T], rounds: int, warm_up: int = 1) -> list[tuple[T, ...]]:
    """Call each way once in every round, and return what each returned, round by round.

    Args:
        ways: functions without arguments that do the work.
        rounds: how often.
        warm_up: rounds before these whose results are dropped; one fills the disk's cache.
    """
    for way in ways * warm_up:
        way()
    return [tuple(way() for way in ways) for _ in range(rounds)]


def ratio(
    title: str,
    pairs: Iterable[Sequence[float]],
    *,
    unit: str,
    scale: float = 1,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Finding:
    """The ratio of the first to the second value of each pair; the title gets both medians.

    ``scale`` times a value is in the unit that is printed.
    """
    firsts, seconds = zip(*pairs)
    ours, theirs = (scale * statistics.median(values) for values in (firsts, seconds))
    return Finding(
        f"{title}, {ours:.4g} against {theirs:.4g} {unit}, ratio",
        [first / second for first, second in zip(firsts, seconds)],
        at_most=at_most,
        at_least=at_least,
    )


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def process(command: Sequence[str | Path]) -> Process:
    """Run a command without its output and measure it; exits where the command fails."""
    started = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - started
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    processor_seconds = usage.ru_utime + usage.ru_stime
    return Process(round(seconds, 4), round(processor_seconds, 4), round(usage.ru_maxrss / 1024, 1))


def resident_mb(process_id: int | None = None) -> float:
    """Megabytes (2**20 bytes) that a process, by default this one, has in memory now."""
    pages = int(Path(f"/proc/{process_id or 'self'}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def installed_command() -> str:
    """The path of ``cxr-edge`` beside this Python; exits where it is not installed."""
    command = shutil.which("cxr-edge", path=str(Path(sys.executable).parent))
    return command or sys.exit("cxr-edge is not installed beside this Python")


def arguments(description: str | None, *folders: str, rounds: int = 0) -> argparse.ArgumentParser:
    """The parser of a benchmark's command line.

    Args:
        description: the docstring of the benchmark's module.
        folders: names of the files and folders that it reads, in their order.
        rounds: the default of ``--rounds``; 0 leaves the option out.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for folder in folders:
        parser.add_argument(folder, type=Path)
    if rounds:
        parser.add_argument("--rounds", type=int, default=rounds, help=f"default: {rounds}")
    return parser


def report(findings: Iterable[Finding | str]) -> int:
    """Print findings and remarks as they come; the exit code, 1 where a limit was missed."""
    missed = False
    for finding in findings:
        print(finding, flush=True)
        missed = missed or (isinstance(finding, Finding) and finding.missed)
    return int(missed)


def run(
    benchmark: Callable[[argparse.Namespace], Iterator[Finding | str]],
    parser: argparse.ArgumentParser,
) -> None:
    """Run a benchmark as the command line says, and exit with 1 where a limit was missed."""
    sys.exit(report(benchmark(parser.parse_args())))
