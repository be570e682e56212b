"""What a person sees while work goes on; all of it on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import typer

T = TypeVar("T")


def say(message: str) -> None:
    """Write a line to standard error."""
    typer.echo(message, err=True)


def progress_bar(label: str) -> Callable[[Iterable[T], int], Iterator[T]]:
    """A function that passes items through and draws a bar on a terminal, nothing elsewhere."""

    def watch(items: Iterable[T], total: int) -> Iterator[T]:
        if not sys.stderr.isatty():
            yield from items
            return
        with typer.progressbar(items, length=total, label=label, file=sys.stderr) as bar:
            yield from bar

    return watch
