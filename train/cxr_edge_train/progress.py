"""How long-running work reports its progress, independently of terminals."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Wraps an iteration, for example in a bar on a terminal."""

    def __call__(self, items: Iterable[T], total: int, /) -> Iterable[T]:
        """Pass all items through in order, and show how many of ``total`` have passed."""
        ...


# Makes the progress of one stage of the work from its label, such as "reading images".
ProgressFactory = Callable[[str], Progress]


def no_progress(label: str) -> Progress:
    """A :data:`ProgressFactory` that shows nothing."""
    return _pass_through


def as_stage(progress: ProgressFactory, label: str, work: Callable[[], T]) -> T:
    """Do work that cannot be counted as a stage of its own, which has one item.

    Args:
        progress: shows the stage.
        label: its label, such as ``converting float32``.
        work: does it.

    Returns:
        What the work returns.
    """
    [result] = progress(label)((do() for do in (work,)), 1)
    return result


def _pass_through(items: Iterable[T], total: int, /) -> Iterable[T]:
    return items
