"""``cxr-edge report``."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that convert made.")],
) -> None:
    """Write a conversion's report again, from the figures that convert measured."""
    from cxr_edge_convert.report.rendering import HTML, render
    from cxr_edge_convert.report.sections import verdict
    from cxr_edge_convert.report.storage import read_content
    from cxr_edge_runtime.manifest import NOTICE

    render(folder)
    typer.echo(verdict(read_content(folder)[0]))
    typer.echo(NOTICE)
    typer.echo(f"wrote {folder / HTML}")
