"""The plot of the worst errors: films, and which regions contributed to the decision."""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cxr_edge_train.dataset.class_names import ClassNames, class_names, positives
from cxr_edge_train.reporting.figures import NEGATIVE_COLOUR, NEUTRAL, POSITIVE_COLOUR, new_figure

WORST = 12
_LONGEST_NAME = 30

# The map adds up to the logit: values below 0 lower it, above 0 raise it.
_CONTRIBUTION = LinearSegmentedColormap.from_list(
    "contribution", [NEGATIVE_COLOUR, "white", POSITIVE_COLOUR]
)
_OPACITY = 0.7


def worst_errors(predictions: pd.DataFrame) -> NDArray[np.intp]:
    """Find the :data:`WORST` wrong decisions that are furthest from their labels.

    Args:
        predictions: rows with ``label``, ``decision`` and ``probability``.

    Returns:
        Their positions ``[K]``, the worst one first.
    """
    wrong = np.flatnonzero(predictions["label"] != predictions["decision"])
    distance = np.abs(predictions["probability"].to_numpy(float) - positives(predictions))[wrong]
    worst: NDArray[np.intp] = wrong[np.argsort(-distance, kind="stable")][:WORST]
    return worst


def draw_worst_errors(
    errors: pd.DataFrame,
    films: NDArray[np.uint8],
    activation_maps: NDArray[np.floating] | None,
    *,
    n_errors: int,
) -> Figure:
    """Draw films with their activation maps, opaque where a region adds much to the decision.

    Args:
        errors: ``[K]`` rows with ``label``, ``probability`` and ``path``, at least one.
        films: the model's input ``[K, H, W, 1] uint8``.
        activation_maps: activation maps ``[K, h, w]``; None for a model without.
        n_errors: number of all wrong decisions, including those that are not shown.
    """
    captions = [
        f"label {error.label}, probability {error.probability:.3f}\n{shown_name(error.path)}"
        for error in errors.itertuples()
    ]
    title = f"The worst {len(errors)} of {n_errors} wrong decisions"
    return draw_films(captions, films, activation_maps, title=title, names=class_names(errors))


def draw_films(
    captions: Sequence[str],
    films: NDArray[np.uint8],
    activation_maps: NDArray[np.floating] | None,
    *,
    title: str,
    names: ClassNames,
    columns: int = 4,
) -> Figure:
    """Draw films in a grid, each with its caption and, if there are maps, its map laid over it.

    Args:
        captions: ``[K]`` captions, at least one.
        films: the model's input ``[K, H, W, 1] uint8``.
        activation_maps: activation maps ``[K, h, w]``; None for a model without.
        title: title of the plot.
        names: the names of the classes.
        columns: number of columns of the grid.
    """
    rows = -(-len(captions) // columns)
    figure = new_figure(2.4 * columns, 1.4 + 2.75 * rows)
    figure.suptitle(title)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, caption, film in zip(grid, captions, films[..., 0]):
        axes.imshow(film, cmap="gray", vmin=0, vmax=255)
        axes.set_title(caption, fontsize="small", parse_math=False)
    if activation_maps is None:
        return figure
    largest = float(np.abs(activation_maps).max()) or 1.0
    height, width = films.shape[1:3]
    for axes, contribution in zip(grid, activation_maps):
        overlay = axes.imshow(
            contribution,
            cmap=_CONTRIBUTION,
            vmin=-largest,
            vmax=largest,
            # The root shows maps that are weak all over beside one that has a peak.
            alpha=_OPACITY * np.sqrt(np.abs(contribution) / largest),
            extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            interpolation="bilinear",
        )
    bar = figure.colorbar(overlay, ax=list(grid), location="bottom", shrink=0.5, aspect=40)
    bar.set_label(
        f"activation map: towards {names.negative} (−) or {names.positive} (+); its mean has the "
        "decision's sign"
    )
    return figure


def draw_no_errors() -> Figure:
    """Draw what is shown instead when every decision is correct."""
    figure = new_figure(5.0, 1.5)
    figure.text(0.5, 0.5, "Every decision was correct.", ha="center", va="center", color=NEUTRAL)
    return figure


def shown_name(path: str) -> str:
    """Shorten a file name for a title and escape letters for which the font has no glyph."""
    name = PurePath(path).name.encode("ascii", "backslashreplace").decode()
    if len(name) <= _LONGEST_NAME:
        return name
    half = _LONGEST_NAME // 2
    return f"{name[: half - 1]}…{name[-half:]}"
