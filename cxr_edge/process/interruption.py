"""Ctrl-C and SIGTERM: what the first one does, such as to stop between two pieces of work."""

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class _Stopped(Exception):
    """A signal came while the next item was waited for."""


@dataclass(slots=True)
class Interruption:
    """Whether the user wants to stop.

    Attributes:
        number: of the signal that came, None as long as none did.
        waiting: the next item is being waited for, so nothing is lost by ending at once.
    """

    number: int | None = None
    waiting: bool = False

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """Pass items through until a signal comes, also while the next one is waited for."""
        iterator = iter(items)
        try:
            while self.number is None:
                self.waiting = True
                item = next(iterator, self)
                self.waiting = False
                if isinstance(item, Interruption):
                    return
                yield item
        except _Stopped:
            return
        finally:
            self.waiting = False


@contextlib.contextmanager
def interruption(on_signal: Callable[[], None]) -> Iterator[Interruption]:
    """Within, the first SIGINT or SIGTERM is only recorded; a second one ends the program at once.

    Args:
        on_signal: called when the first one comes.
    """
    noted = Interruption()

    def note(number: int) -> None:
        noted.number = number
        on_signal()
        if noted.waiting:
            raise _Stopped

    with first_signal(note):
        yield noted


@contextlib.contextmanager
def first_signal(react: Callable[[int], None]) -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM calls a function; a second one has its earlier handler.

    A signal that was ignored, as a shell's background jobs ignore Ctrl-C, remains ignored.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {n: handler for n, handler in handlers.items() if handler != signal.SIG_IGN}

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        react(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
