"""The films whose decision a variant changes, drawn while their pixels are at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.report.storage import Content
from cxr_edge_train.evaluation.worst_errors import draw_films, shown_name
from cxr_edge_train.reporting.figures import save_figure

FIGURES = "figures"
# The map of a model for a few films: [K, H, W, 1] uint8 to [K, h, w].
Maps = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_SHOWN = 12


def flipped_figure(folder: Path, variant: str) -> Path:
    """Where the figure of a variant lies."""
    return folder / FIGURES / f"flipped-{variant}.png"


def draw_changed_predictions(
    folder: Path,
    content: Content,
    table: pd.DataFrame,
    pixels: NDArray[np.uint8],
    maps: Maps | None,
) -> None:
    """Draw the changed decisions of each variant that has any, those that moved furthest.

    Args:
        folder: of the conversion.
        content: of the report.
        table: rows of the validation images.
        pixels: ``[N, H, W, 1] uint8`` of them.
        maps: the float model's activation maps, None where it has none.
    """
    place = {path: index for index, path in enumerate(table["path"])}
    for variant in content["variants"]:
        verification = variant["verification"]
        changed = verification["to_pneumonia"] + verification["to_normal"]
        if not changed:
            continue
        shown = sorted(changed, key=lambda flip: -abs(flip["after"] - flip["before"]))[:_SHOWN]
        films = pixels[[place[flip["path"]] for flip in shown]]
        captions = [
            f"{flip['label']}: {flip['before']:.3f} became {flip['after']:.3f}\n"
            f"{shown_name(flip['path'])}"
            for flip in shown
        ]
        figure = draw_films(
            captions,
            films,
            maps(films) if maps else None,
            title=f"{variant['name']}: {len(shown)} of {len(changed)} changed decisions",
        )
        save_figure(figure, flipped_figure(folder, variant["name"]))
