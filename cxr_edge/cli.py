"""The ``cxr-edge`` command: commands are gathered here, errors become one line and an exit code."""

import functools
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cxr_edge.commands.benchmark import benchmark
from cxr_edge.commands.classify import classify
from cxr_edge.commands.clean import clean
from cxr_edge.commands.compare import compare
from cxr_edge.commands.convert import convert
from cxr_edge.commands.eda import eda
from cxr_edge.commands.evaluate import evaluate
from cxr_edge.commands.info import info
from cxr_edge.commands.report import report
from cxr_edge.commands.selftest import selftest
from cxr_edge.commands.split import split
from cxr_edge.commands.train import train
from cxr_edge.commands.verify import verify
from cxr_edge.terminal import say
from cxr_edge_runtime.errors import CxrEdgeError, ExtraMissing

# Plain help: rich would triple the time to start.
app = typer.Typer(
    name="cxr-edge",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _needs(extra: str, command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that names the extra to install when one of its imports is missing."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            raise ExtraMissing(
                f"{command.__name__} needs {error.name}, which is not installed; "
                f"run: pip install 'cxr-edge[{extra}]'"
            ) from error

    return run


app.command()(classify)
app.command()(info)
app.command()(verify)
app.command()(selftest)
app.command()(benchmark)
app.command()(_needs("train", clean))
app.command()(_needs("train", split))
app.command()(_needs("train", eda))
app.command()(_needs("train", train))
app.command()(_needs("train", compare))
app.command()(_needs("convert", convert))
app.command()(_needs("convert", report))
app.command()(_needs("train", evaluate))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata  # 25 ms that no other command should wait for

        typer.echo(f"cxr-edge {metadata.version('cxr-edge')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """From a folder of chest X-rays to a verified, quantized classifier on a small device.

    Research use only. Not a medical device.
    """


def main() -> None:
    """Run the command line; what the user did wrong ends in one line and the error's exit code."""
    try:
        app(prog_name="cxr-edge")
    except CxrEdgeError as error:
        say(f"cxr-edge: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        # A full disk or a folder without rights can meet any write.
        say(f"cxr-edge: {error}")
        sys.exit(1)
