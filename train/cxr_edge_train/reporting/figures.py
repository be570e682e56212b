"""PNG figures with one look, the same bytes for the same data."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cxr_edge_runtime.files import replacing

DPI = 110
# Okabe and Ito's palette, told apart by colour-blind readers; the same label, the same colour.
LABEL_COLOURS = {"NORMAL": "#0072B2", "PNEUMONIA": "#D55E00"}
SPLIT_COLOURS = {"train": "#009E73", "val": "#CC79A7", "validation": "#CC79A7", "test": "#E69F00"}
NEUTRAL = "#666666"


def new_figure(width: float = 7.0, height: float = 4.5) -> Figure:
    """An empty figure, size in inches; it needs no display and leaves no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, *, title: str | None = None) -> Path:
    """Write a PNG atomically, without the version and date that matplotlib would add.

    Args:
        figure: to write.
        path: of the file.
        title: stored in the file.

    Returns:
        The path.
    """
    with replacing(path) as temporary:
        figure.savefig(
            temporary, format="png", dpi=DPI, metadata={"Software": None, "Title": title}
        )
    return path
