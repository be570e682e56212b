"""``cxr-edge report``."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that convert made.")],
) -> None:
    """Write a conversion's report again, from its figures."""
    from cxr_edge_convert.report.rendering import HTML, render_again
    from cxr_edge_convert.report.sections import verdict
    from cxr_edge_runtime.bundle.manifest import NOTICE

    typer.echo(verdict(render_again(folder)))
    typer.echo(NOTICE)
    typer.echo(f"wrote {folder / HTML}")
