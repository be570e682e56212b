"""Options that several commands share: the same word means the same thing everywhere."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from cxr_edge.console.durations import duration
from cxr_edge_runtime.arguments import MAX_PREVALENCE, MIN_PREVALENCE
from cxr_edge_runtime.engines import ENGINES
from cxr_edge_runtime.errors import InvalidRequest

_ENGINES = [engine.name for engine in ENGINES]

Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Threads = Annotated[
    int, typer.Option("--threads", min=1, max=64, help="Threads of the inference engine.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output, one object per line.")
]
Metadata = Annotated[
    Path, typer.Argument(metavar="METADATA", help="clean_metadata.csv, from cxr-edge clean.")
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder that the paths in the metadata are relative to.  [default: the metadata's "
        "folder]",
    ),
]
Splits = Annotated[Path, typer.Option("--splits", help="splits.csv, from cxr-edge split.")]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="imagenet|none|FILE",
        help="What the weights of the backbone start from.",
    ),
]
Locator = Annotated[
    Path | None,
    typer.Option(
        "--locator",
        help="Folder of a lung locator: films are cut to the box of their lungs.  "
        "[default: films are shown whole]",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=f"{', '.join(_ENGINES[:-1])} or {_ENGINES[-1]}.  [default: the first that is "
        "installed and runs the bundle]",
    ),
]
_BUNDLE = (
    "A bundle's folder or the name of a shipped one.  [default: the installed bundle, else "
    "mobilenetv2-int8]"
)
BundleOption = Annotated[str | None, typer.Option("--bundle", metavar="DIR|NAME", help=_BUNDLE)]
BundleArgument = Annotated[str | None, typer.Argument(metavar="[BUNDLE]", help=_BUNDLE)]
Prevalence = Annotated[
    float | None,
    typer.Option(
        "--prevalence",
        metavar="P",
        min=MIN_PREVALENCE,
        max=MAX_PREVALENCE,
        help="Share of pneumonias among your films; probability and threshold are moved to it, no "
        "label changes.  [default: that of the bundle]",
    ),
]
AllowRejected = Annotated[
    bool,
    typer.Option(
        "--allow-rejected", help="Take a bundle whose model missed a limit when it was converted."
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        help="Append a row per film to this SQLite file, to find drift: hash, probability and "
        "gate distance; no pixels, no names.",
    ),
]
DicomOut = Annotated[
    Path | None,
    typer.Option(
        "--dicom-out",
        metavar="DIR",
        help="Also write the answer to each DICOM film as DICOM: a picture and a report.",
    ),
]
LogKeep = Annotated[
    str | None,
    typer.Option(
        "--log-keep",
        metavar="TIME",
        help="Delete rows of the log that are older, as 90d.  [default: keep all]",
    ),
]


def log_keep(text: str | None, log: Path | None) -> timedelta | None:
    """How long rows of a log are kept; None for ever.

    Raises:
        InvalidRequest: no duration, or there is no log.
    """
    if text is None:
        return None
    if log is None:
        raise InvalidRequest("--log-keep: there is no log to delete from; give --log, too")
    return duration(text, option="--log-keep", example="90d")
