"""How each step ended, a line a step, and the exit code of all."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

# Nothing failed, but something could not be run: no success, and no fault of the wheel.
EXIT_NOT_RUN = 77


class NotRun(Exception):
    """Something that a step needs cannot be had on this computer."""


class Failed(Exception):
    """A step did not do what it must."""


class Step:
    """What a step found, as lines, and whether it passed."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lines: list[str] = []
        self.passed = False

    def note(self, line: str) -> None:
        """Add a line to print."""
        self.lines.append(line)


class Report:
    """Prints as it goes, and counts."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._count = {"ok": 0, "FAILED": 0, "NOT RUN": 0}

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Run and time what is done inside; that it cannot be run or fails ends there."""
        step = Step()
        outcome = "ok"
        started = time.monotonic()
        try:
            yield step
            step.passed = True
        except NotRun as reason:
            outcome = "NOT RUN"
            step.lines.insert(0, str(reason))
        except Failed as reason:
            outcome = "FAILED"
            step.lines.insert(0, str(reason))
        self._count[outcome] += 1
        first, *others = step.lines or [""]
        seconds = time.monotonic() - started
        print(f"  {name:<13} {outcome:<7} {seconds:5.1f} s  {first}".rstrip(), flush=True)
        for line in others:
            print(f"      {line}", flush=True)

    def close(self) -> int:
        """Print the sum; 0 only where every step was run and passed."""
        print("\nsteps: " + ", ".join(f"{count} {name}" for name, count in self._count.items()))
        if self._count["FAILED"]:
            return 1
        return EXIT_NOT_RUN if self._count["NOT RUN"] else 0
