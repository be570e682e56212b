"""``cxr-edge report``."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that convert made.")],
) -> None:
    """Rewrite the report of a conversion.

    It is made from report.json and predictions.csv, which convert wrote.
    """
    from cxr_edge_convert import report as reports

    written = reports.render_again(folder)
    typer.echo(reports.verdict(written))
    typer.echo(written.notice)
    typer.echo(f"wrote {folder / 'report.html'}")
