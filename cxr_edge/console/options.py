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

Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Random seed.")]
Threads = Annotated[
    int, typer.Option("--threads", metavar="N", min=1, max=64, help="Threads of the engine.")
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
Splits = Annotated[
    Path, typer.Option("--splits", metavar="FILE", help="splits.csv, from cxr-edge split.")
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="imagenet|none|FILE",
        help="Initial weights of the backbone.",
    ),
]
Locator = Annotated[
    Path | None,
    typer.Option(
        "--locator",
        metavar="DIR",
        help="Folder of a lung locator: the network sees the box of the lungs.  [default: none, it "
        "sees whole images]",
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
        help="Share of pneumonias among your images; moves probability and threshold, changes no "
        "label.  [default: that of the bundle]",
    ),
]
AllowRejected = Annotated[
    bool,
    typer.Option(
        "--allow-rejected", help="Use a bundle whose model was rejected when it was converted."
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE",
        help="Append one row per image to this SQLite file for cxr-edge drift: hash, probability "
        "and gate distance; no pixels, no names.",
    ),
]
DicomOut = Annotated[
    Path | None,
    typer.Option(
        "--dicom-out",
        metavar="DIR",
        help="Also write each answer as DICOM (a picture and a report), for DICOM input.",
    ),
]
LogKeep = Annotated[
    str | None,
    typer.Option(
        "--log-keep",
        metavar="TIME",
        help="Delete rows of the log that are older, such as 90d.  [default: keep all]",
    ),
]


def log_keep(text: str | None, log: Path | None) -> timedelta | None:
    """How long rows of a log are kept; None for no limit.

    Raises:
        InvalidRequest: no duration, or there is no log.
    """
    if text is None:
        return None
    if log is None:
        raise InvalidRequest("--log-keep: there is no log to delete from; give --log, too")
    return duration(text, option="--log-keep", example="90d")
