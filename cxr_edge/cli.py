"""The ``cxr-edge`` command: commands are gathered here, errors become one line and an exit code."""

import functools
import importlib
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from keyword import iskeyword
from traceback import walk_tb
from typing import Annotated, Any, NamedTuple

import typer

from cxr_edge.console.terminal import say
from cxr_edge.process import exit_codes
from cxr_edge_runtime.engines import ENGINES
from cxr_edge_runtime.errors import BundleRejected, CxrEdgeError, ExtraMissing, InvalidRequest


class _Command(NamedTuple):
    """A command, which is the function of its name in the module of its name.

    Attributes:
        extra: what it needs installed.
        summary: the first line of its help. Repeated here, since the help of all would wait for the
            import of each.
    """

    extra: str | None
    summary: str


# The order is that of the help.
_COMMANDS = {
    "classify": _Command(None, "Classify chest X-rays: JPEG, PNG, TIFF, BMP, WebP, DICOM."),
    "info": _Command(None, "Show what a bundle is, how good it is, and its limits."),
    "verify": _Command("signed", "Check that a bundle is intact, with --key whose it is."),
    "pack": _Command("signed", "Pack a bundle as one file for devices, signed or not."),
    "install": _Command("signed", "Use an archive's bundle from now on; keep the one before."),
    "selftest": _Command(None, "Compare this device with the one that made the bundle."),
    "benchmark": _Command(None, "Measure time and memory on this device in half a minute."),
    "serve": _Command("serve", "Serve a page and an API that classify films."),
    "watch": _Command(None, "Classify the films that come into a folder."),
    "score": _Command("ray", "Score an archive with Ray into a folder of Parquet files."),
    "clean": _Command("train", "Check every image of a data set; write its metadata."),
    "split": _Command("train", "Split images into train, validation and test by patient."),
    "eda": _Command("train", "Explore a cleaned data set: an HTML page with figures."),
    "train": _Command("train", "Train a classifier."),
    "train-locator": _Command(
        "convert", "Train a lung locator, and convert it to TFLite and ONNX."
    ),
    "compare": _Command("train", "Train several networks and choose one by its recall."),
    "import": _Command("convert", "Import a Keras classifier that was trained elsewhere."),
    "convert": _Command("convert", "Quantize a trained model and verify each variant."),
    "report": _Command("convert", "Write the report of a conversion again."),
    "evaluate": _Command("train", "Measure a run or a bundle on labelled images."),
    "calibrate": _Command("calibrate", "Fit a bundle's threshold and probability to your films."),
    "compare-bundles": _Command("train", "Compare two bundles on the same films before an update."),
    "drift": _Command("drift", "Check for drift since verification."),
}

# What Windows lacks; classify, selftest, info, verify and serve do without.
_POSIX = ("fcntl", "resource")
# What a prediction depends on beside the bundle and the engines, for reports of faults.
_DECODING = ("numpy", "pillow", "pydicom")
# By which a shell asks what a word could become.
_COMPLETION = "_CXR_EDGE_COMPLETE"


def _needs(extra: str | None, command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that says what to do when one of its imports is missing."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            needed_by = command.__name__.strip("_").replace("_", "-")
            if error.name in _POSIX:
                raise InvalidRequest(
                    f"{needed_by} does not run on {sys.platform}: it needs Linux or macOS"
                ) from error
            if extra is None:
                raise
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


def _listed() -> None:
    """In the place of a command that only the help names."""


def _app(arguments: list[str]) -> typer.Typer:
    """The commands that these arguments can mean: importing all costs more than the lightest.

    Where no argument is a command, they are listed at most, and none is imported.
    """
    # Plain help: rich would triple the time to start.
    app = typer.Typer(
        name="cxr-edge",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    named = [name for name in arguments[:1] if name in _COMMANDS]
    if _COMMANDS.keys().isdisjoint(arguments) and _COMPLETION not in os.environ:
        for name, (_, summary) in _COMMANDS.items():
            app.command(name, help=summary)(_listed)
        return app
    for name in named or _COMMANDS:
        # import is a word of Python's own, so module and function are called import_.
        python_name = f"{name}_" if iskeyword(name) else name.replace("-", "_")
        command = getattr(importlib.import_module(f"cxr_edge.commands.{python_name}"), python_name)
        extra = _COMMANDS[name].extra
        app.command(name)(_needs(extra, command))
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
