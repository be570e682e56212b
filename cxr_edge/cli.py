"""The ``cxr-edge`` command: commands are gathered here, errors become one line and an exit code."""

import functools
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable
from itertools import pairwise
from keyword import iskeyword
from traceback import walk_tb
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cxr_edge.command_table import COMMANDS, GROUPS
from cxr_edge.console.terminal import say
from cxr_edge.process import exit_codes
from cxr_edge_runtime.engines import ENGINES
from cxr_edge_runtime.errors import BundleRejected, CxrEdgeError, ExtraMissing, InvalidRequest

# What Windows lacks; classify, selftest, info, verify and serve do without.
_POSIX = ("fcntl", "resource")
# What a prediction depends on beside the bundle and the engines, for reports of faults.
_DECODING = ("numpy", "pillow", "pydicom")
# By which a shell asks what a word could become.
_COMPLETION = "_CXR_EDGE_COMPLETE"


def _guarded(name: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that says what to install where an import is missing, and what Ctrl-C leaves."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            if error.name in _POSIX:
                raise InvalidRequest(
                    f"{name} does not run on {sys.platform}: it needs Linux or macOS"
                ) from error
            if (extra := COMMANDS[name].extra) is None:
                raise
            raise ExtraMissing.of(error.name, needed_by=name, extra=extra) from error
        except KeyboardInterrupt:
            say("; ".join(filter(None, ("cxr-edge: stopped", COMMANDS[name].stopped))))
            raise typer.Exit(exit_codes.of_signal(signal.SIGINT)) from None

    return run


class _Grouped(TyperGroup):
    """Help with the commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group."""
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, commands[name].summary) for name in commands])


def _examples(name: str) -> str:
    """Examples of a command, which help must not wrap: one would be two commands."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in COMMANDS[name].examples)))


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


def _listed() -> None:
    """In the place of a command that only the help names."""


def _app(arguments: list[str]) -> typer.Typer:
    """The commands that these arguments can mean: importing all costs more than the lightest.

    Where no argument is a command, they are listed at most, and none is imported.
    """
    # Plain help: rich would triple the time to start.
    app = typer.Typer(
        name="cxr-edge",
        cls=_Grouped,
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    named = [name for name in arguments[:1] if name in COMMANDS]
    if COMMANDS.keys().isdisjoint(arguments) and _COMPLETION not in os.environ:
        for name in COMMANDS:
            app.command(name)(_listed)
        return app
    for name in named or COMMANDS:
        # import is a word of Python's own, so module and function are called import_.
        python_name = f"{name}_" if iskeyword(name) else name.replace("-", "_")
        command = getattr(importlib.import_module(f"cxr_edge.commands.{python_name}"), python_name)
        app.command(name, epilog=_examples(name))(_guarded(name, command))
    return app


def main() -> None:
    """Run the command line; what the user did wrong ends in one line and the error's exit code."""
    # A name or a sign that the terminal's encoding lacks must not end the work.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
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
