"""PNG figures in one style; the same data give the same bytes."""

import warnings
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cxr_edge_runtime.files import replacing

DPI = 110
# Okabe and Ito's palette, which colour-blind readers can distinguish; a label has one colour.
NEGATIVE_COLOUR, POSITIVE_COLOUR = LABEL_COLOURS = "#0072B2", "#D55E00"
SPLIT_COLOURS = {"train": "#009E73", "val": "#CC79A7", "validation": "#CC79A7", "test": "#E69F00"}
NEUTRAL = "#666666"


def new_figure(width: float = 7.0, height: float = 4.5) -> Figure:
    """Create an empty figure, which needs no display and leaves no global state.

    Args:
        width: inches.
        height: inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def remove_figures(output: Path) -> None:
    """Remove the figures of an earlier run, of which the next one may write fewer.

    Args:
        output: a folder of ours, with PNG files in ``figures``.
    """
    for file in (output / "figures").glob("*.png"):
        file.unlink()


def save_figure(figure: Figure, path: Path, *, title: str | None = None) -> Path:
    """Write a figure as PNG atomically, without the version and date that matplotlib would add.

    Args:
        figure: the figure to write.
        path: the file to write.
        title: a title that is stored in the file; None stores none.

    Returns:
        The path of the file.
    """
    with replacing(path) as temporary, warnings.catch_warnings():
        # Of names in a script that the font lacks, which the tables beside the figure show.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(
            temporary, format="png", dpi=DPI, metadata={"Software": None, "Title": title}
        )
    return path
