"""What a person sees: messages and bars on standard error, figures on standard output."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import typer

from cxr_edge.bundles.notice import rejection

if TYPE_CHECKING:
    from cxr_edge_runtime.bundle.manifest import Interval, Manifest
    from cxr_edge_train.progress import Progress
    from cxr_edge_train.statistics.operating_point import OperatingPoint

T = TypeVar("T")

# At the end of a clause; a file's name may have the same word in brackets.
_PARAMETER = re.compile(
    r"(?<= )\((columns|folds|labels|map|min_films|overwrite|positive|prevalence|"
    r"recursive|weights)\)"
    r"(?=[;,.]?(?: |$))"
)


def say(message: str) -> None:
    """Write a line to standard error, control characters replaced.

    What the Python API calls a parameter, as in ``(min_films)``, becomes the option of that name.
    Where it cannot be written, as on a full disk, the work and its exit code are the same.
    """
    try:
        typer.echo(printable(_PARAMETER.sub(_as_option, message)), err=True)
    except OSError:
        # What is left in its buffer would fail once more at the end, and change the exit code.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123  # a name, not a path


def _as_option(parameter: "re.Match[str]") -> str:
    return f"(--{parameter[1].replace('_', '-')})"


def say_warnings(warnings: Iterable[str]) -> None:
    """Write each warning to standard error."""
    for warning in warnings:
        say(f"warning: {warning}")


def say_if_rejected(manifest: "Manifest") -> None:
    """Write a warning to standard error where the model missed a limit when it was converted."""
    if words := rejection(manifest):
        say(f"warning: {words}")


def printable(text: str) -> str:
    """``text`` with ``?`` for control characters and bytes that are not UTF-8.

    A file name may hold either; one would play tricks on the terminal, the other cannot be printed.
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def print_next(*words: object) -> None:
    """Print the command that follows, as a user would type it; nothing where it cannot be shown."""
    import shlex  # only some commands are followed by another one

    line = shlex.join(("cxr-edge", *map(str, words)))
    if line.isprintable():
        typer.echo(f"next: {line}")


def print_metrics(split: str, metrics: Mapping[str, "Interval"], notice: str) -> None:
    """Print a line per metric, ``validation auc 0.991 [0.985, 0.996]  n = 865``, and the notice."""
    width = max(map(len, metrics))
    for name, metric in metrics.items():
        typer.echo(f"{split} {name:<{width}} {metric}  n = {metric.n}")
    typer.echo(notice)


def print_operating_point(point: "OperatingPoint") -> None:
    """Print the threshold with its rule, and what makes a probability of a logit."""
    stands_for = "" if point.prevalence is None else f" at a prevalence of {point.prevalence:.1%}"
    typer.echo(
        f"threshold {point.threshold:.4f} ({point.rule}), temperature {point.temperature:.3f}, "
        f"bias {point.bias:.3f}{stands_for}"
    )


def progress_bar(label: str) -> "Progress":
    """A function that passes items through and draws a bar on a terminal, nothing elsewhere."""

    def watch(items: Iterable[T], total: int) -> Iterator[T]:
        if not sys.stderr.isatty():
            yield from items
            return
        with typer.progressbar(items, length=total, label=label, file=sys.stderr) as bar:
            yield from bar

    return watch


class Stages:
    """Progress of work that goes through many stages, each of which can last.

    On a terminal a stage that is counted has a bar, and one that is not a line. Elsewhere every
    stage is a line, so that a log says what was waited for. A stage within another one is not
    shown: two bars would overwrite each other.
    """

    def __init__(self) -> None:
        """Begin outside any stage."""
        self._inside = False

    def __call__(self, label: str) -> "Progress":
        """A function that passes the items of a stage through and shows it."""

        def watch(items: Iterable[T], total: int) -> Iterator[T]:
            if self._inside:
                yield from items
                return
            self._inside = True
            try:
                if total > 1 and sys.stderr.isatty():
                    yield from progress_bar(label)(items, total)
                else:
                    say(label)
                    yield from items
            finally:
                self._inside = False

        return watch
