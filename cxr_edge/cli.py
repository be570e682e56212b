"""The ``cxr-edge`` command: commands are gathered here, errors become one line and an exit code."""

import functools
import importlib
import sys
from collections.abc import Callable
from itertools import pairwise
from keyword import iskeyword
from traceback import walk_tb
from typing import Annotated, Any

import typer

from cxr_edge.console.terminal import say
from cxr_edge.process import exit_codes
from cxr_edge_runtime.engines import ENGINES
from cxr_edge_runtime.errors import BundleRejected, CxrEdgeError, ExtraMissing, InvalidRequest

# Every command is the function of its name in the module of its name; each with the extra that it
# needs. The order is that of the help.
_COMMANDS = {
    "classify": None,
    "info": None,
    "verify": "signed",
    "pack": "signed",
    "install": "signed",
    "selftest": None,
    "benchmark": None,
    "serve": "serve",
    "score": "ray",
    "clean": "train",
    "split": "train",
    "eda": "train",
    "train": "train",
    "train-locator": "convert",
    "compare": "train",
    "import": "convert",
    "convert": "convert",
    "report": "convert",
    "evaluate": "train",
    "drift": "drift",
}

# What a prediction depends on beside the bundle and the engines, for reports of faults.
_DECODING = ("numpy", "pillow", "pydicom")


def _needs(extra: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that names the extra to install when one of its imports is missing."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            needed_by = command.__name__.strip("_").replace("_", "-")
            raise ExtraMissing.of(error.name, needed_by=needed_by, extra=extra) from error

    return run


def _print_version(wanted: bool) -> None:
    if wanted:
        import platform
        from importlib import metadata  # 25 ms that no other command should wait for

        typer.echo(f"cxr-edge {metadata.version('cxr-edge')}")
        typer.echo(f"python {platform.python_version()}, {platform.system()} {platform.machine()}")
        for package in (*(engine.name for engine in ENGINES), *_DECODING):
            try:
                typer.echo(f"{package} {metadata.version(package)}")
            except metadata.PackageNotFoundError:
                typer.echo(f"{package} is not installed")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the versions of cxr-edge and its engines, and exit.",
        ),
    ] = False,
) -> None:
    """From a folder of chest X-rays to a verified, quantized classifier on a small device.

    Research use only. Not a medical device.
    """


def _app(arguments: list[str]) -> typer.Typer:
    """The commands that these arguments can mean: importing all costs more than the lightest."""
    # Plain help: rich would triple the time to start.
    app = typer.Typer(
        name="cxr-edge",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    named = [name for name in arguments[:1] if name in _COMMANDS]
    for name in named or _COMMANDS:
        # import is a word of Python's own, so module and function are called import_.
        python_name = f"{name}_" if iskeyword(name) else name.replace("-", "_")
        command = getattr(importlib.import_module(f"cxr_edge.commands.{python_name}"), python_name)
        extra = _COMMANDS[name]
        app.command(name)(_needs(extra, command) if extra else command)
    return app


def main() -> None:
    """Run the command line; what the user did wrong ends in one line and the error's exit code."""
    try:
        _check_none_empty(sys.argv[1:])
        _app(sys.argv[1:])(prog_name="cxr-edge")
    except CxrEdgeError as error:
        way_out = " with --allow-rejected" if isinstance(error, BundleRejected) else ""
        say(f"cxr-edge: {error}{way_out}")
        sys.exit(exit_codes.of_error(error))
    except OSError as error:
        # A full disk or a folder without rights can meet any write.
        say(f"cxr-edge: {_explained(error)}")
        sys.exit(exit_codes.COULD_NOT)


def _explained(error: OSError) -> str:
    """Why something could not be read or written, and what it was."""
    if error.strerror is None:
        return str(error)
    place = error.filename
    if place is None:
        *_, (frame, _) = walk_tb(error.__traceback__)
        # Messages to standard error raise nothing, see :func:`cxr_edge.console.terminal.say`.
        place = "standard output" if frame.f_code is typer.echo.__code__ else None
    return error.strerror if place is None else f"{place}: {error.strerror}"


def _check_none_empty(words: list[str]) -> None:
    """Refuse an empty argument: as a path it would name the current folder.

    Raises:
        InvalidRequest: there is one.
    """
    for before, word in pairwise(["cxr-edge", *words]):
        option, given, value = word.partition("=")
        if not word or (option.startswith("--") and given and not value):
            where = f"after {before}" if not word else f"of {option}"
            raise InvalidRequest(
                f"the argument {where} is empty; is a variable of the shell not set?"
            )
