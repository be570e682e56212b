"""How each step ended, one line per step, and the exit code of all."""

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
        self._ok = 0
        self._heading = ""
        self._failed: list[str] = []
        self._not_run: list[str] = []

    def heading(self, words: str) -> None:
        """Say what the steps to come are about."""
        self._heading = f"{words}: "
        print(f"\n{words}", flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Run and time what is done inside; that it cannot be run or fails ends there."""
        step = Step()
        outcome = "ok"
        started = time.monotonic()
        try:
            yield step
            step.passed = True
            self._ok += 1
        except NotRun as reason:
            outcome = "NOT RUN"
            step.lines.insert(0, str(reason))
            self._not_run.append(f"{self._heading}{name} ({reason})")
        except Failed as reason:
            outcome = "FAILED"
            step.lines.insert(0, str(reason))
            self._failed.append(f"{self._heading}{name} ({str(reason).splitlines()[0]})")
        first, *others = step.lines or [""]
        seconds = time.monotonic() - started
        print(f"  {name:<13} {outcome:<7} {seconds:5.1f} s  {first}".rstrip(), flush=True)
        for line in others:
            print(f"      {line}", flush=True)

    def close(self) -> int:
        """Repeat what did not pass; 0 only where every step was run and passed."""
        print(f"\nsteps: {self._ok} ok, {len(self._failed)} failed, {len(self._not_run)} not run")
        for words in self._not_run:
            print(f"NOT RUN: {words}")
        for words in self._failed:
            print(f"FAILED: {words}")
        if self._failed:
            return 1
        return EXIT_NOT_RUN if self._not_run else 0
