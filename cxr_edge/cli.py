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
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

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
        examples: shown below its help.
        stopped: what Ctrl-C leaves, where it does not say so itself.
    """

    extra: str | None
    summary: str
    examples: tuple[str, ...]
    stopped: str = "each output is complete or was not written"


_RESUMES = "every epoch that ended is saved; the same command resumes"

# The order is that of the help.
_GROUPS: dict[str, dict[str, _Command]] = {
    "On a device": {
        "classify": _Command(
            None,
            "Classify chest X-rays: JPEG, PNG, TIFF, BMP, WebP, DICOM.",
            (
                "cxr-edge classify image.jpeg",
                "cxr-edge classify -r images/ --csv answers.csv --heatmap maps",
                "cxr-edge classify --json film.dcm",
            ),
            "the CSV file was not written",
        ),
        "selftest": _Command(
            None,
            "Check that this device computes the answers that were verified.",
            ("cxr-edge selftest", "cxr-edge selftest tiny"),
            "",
        ),
        "benchmark": _Command(
            None,
            "Measure time and memory on this device in half a minute.",
            ("cxr-edge benchmark", "cxr-edge benchmark tiny --images images/"),
            "",
        ),
        "info": _Command(
            None,
            "Show what a bundle is, how good it is, and its limits.",
            ("cxr-edge info", "cxr-edge info tiny --json", "cxr-edge info --list"),
            "",
        ),
        "serve": _Command(
            "serve",
            "Serve a page and an API that classify films.",
            (
                "cxr-edge serve",
                "cxr-edge serve --host 0.0.0.0 --token-file token.txt",
            ),
            "",
        ),
        "watch": _Command(
            None,
            "Classify films as they come into a folder.",
            ("cxr-edge watch incoming --to answers",),
        ),
    },
    "Bundles and many films": {
        "verify": _Command(
            "signed",
            "Check that a bundle is intact, and with --key who signed it.",
            ("cxr-edge verify bundles/int8", "cxr-edge verify clinic.cxr.zip --key key.pub.pem"),
            "",
        ),
        "pack": _Command(
            "signed",
            "Pack a bundle as one file for devices, signed or not.",
            ("cxr-edge pack bundles/int8 -o int8.cxr.zip --sign key.pem",),
        ),
        "install": _Command(
            "signed",
            "Install the bundle of an archive; keep the previous one.",
            (
                "cxr-edge install int8.cxr.zip --key key.pub.pem",
                "cxr-edge install --rollback",
            ),
            "the old or the new bundle is in use: cxr-edge info shows which",
        ),
        "drift": _Command(
            "drift",
            "Check for drift since verification.",
            ("cxr-edge drift log.db -o drift.png",),
        ),
        "score": _Command(
            "ray",
            "Score an archive with Ray into a folder of Parquet files.",
            ("cxr-edge score archive/ -o scores",),
        ),
    },
    "From images to a bundle": {
        "clean": _Command(
            "train",
            "Check every image of a data set; write its metadata.",
            (
                "cxr-edge clean chest_xray -o clean_metadata.csv",
                "cxr-edge clean adults --labels adults/labels.csv -o adults.csv",
            ),
        ),
        "split": _Command(
            "train",
            "Split images into train, validation and test by patient.",
            ("cxr-edge split clean_metadata.csv -o splits.csv --seed 0",),
        ),
        "eda": _Command(
            "train",
            "Explore a cleaned data set: an HTML page with figures.",
            ("cxr-edge eda clean_metadata.csv -o eda",),
        ),
        "train": _Command(
            "train",
            "Train a classifier.",
            (
                "cxr-edge train clean_metadata.csv --splits splits.csv -o run",
                "cxr-edge train clean_metadata.csv --recipe models/recipes/tiny.toml "
                "--locator models/float/lung-locator -o run-tiny",
            ),
            _RESUMES,
        ),
        "compare": _Command(
            "train",
            "Train several networks and choose one by its recall.",
            (
                "cxr-edge compare clean_metadata.csv --architectures mobilenetv2,densenet121 "
                "-o comparison",
            ),
            _RESUMES,
        ),
        "train-locator": _Command(
            "convert",
            "Train a lung locator, and convert it to TFLite and ONNX.",
            ("cxr-edge train-locator clean_metadata.csv --masks masks/ -o locator",),
            _RESUMES,
        ),
        "import": _Command(
            "convert",
            "Import a Keras classifier that was trained elsewhere.",
            ("cxr-edge import own.keras --metadata clean_metadata.csv --scaling 0-1 -o own-run",),
        ),
        "convert": _Command(
            "convert",
            "Quantize a trained model and verify each variant.",
            (
                "cxr-edge convert run --int8 -o new-bundles",
                "cxr-edge convert run --all --format both -o bundles-all",
            ),
        ),
        "report": _Command(
            "convert",
            "Rewrite the report of a conversion.",
            ("cxr-edge report bundles",),
        ),
        "evaluate": _Command(
            "train",
            "Measure a run or a bundle on labelled images.",
            (
                "cxr-edge evaluate bundles/int8 clean_metadata.csv --splits splits.csv "
                "-o evaluation",
            ),
        ),
        "calibrate": _Command(
            "calibrate",
            "Fit a bundle's threshold and probability to your films.",
            (
                "cxr-edge calibrate mobilenetv2-int8 adults.csv --site clinic --min-films 20 "
                "-o clinic",
            ),
        ),
        "compare-bundles": _Command(
            "train",
            "Compare two bundles on the same films before an update.",
            ("cxr-edge compare-bundles mobilenetv2-int8 clinic adults.csv -o update",),
        ),
    },
}
_COMMANDS = {name: command for group in _GROUPS.values() for name, command in group.items()}

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
            if (extra := _COMMANDS[name].extra) is None:
                raise
            raise ExtraMissing.of(error.name, needed_by=name, extra=extra) from error
        except KeyboardInterrupt:
            say("; ".join(filter(None, ("cxr-edge: stopped", _COMMANDS[name].stopped))))
            raise typer.Exit(exit_codes.of_signal(signal.SIGINT)) from None

    return run


class _Grouped(TyperGroup):
    """Help with the commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group."""
        for title, commands in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, commands[name].summary) for name in commands])


def _examples(name: str) -> str:
    """Examples of a command, which help must not wrap: one would be two commands."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in _COMMANDS[name].examples)))


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
    named = [name for name in arguments[:1] if name in _COMMANDS]
    if _COMMANDS.keys().isdisjoint(arguments) and _COMPLETION not in os.environ:
        for name in _COMMANDS:
            app.command(name)(_listed)
        return app
    for name in named or _COMMANDS:
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
