"""How long work shows how far it has come, without knowing of terminals."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Wraps an iteration, for example in a bar on a terminal."""

    def __call__(self, items: Iterable[T], total: int, /) -> Iterable[T]:
        """Pass all items through in their order, and show how many of ``total`` have passed."""
        ...


def unseen(items: Iterable[T], total: int, /) -> Iterable[T]:
    """A :class:`Progress` that shows nothing."""
    return items
