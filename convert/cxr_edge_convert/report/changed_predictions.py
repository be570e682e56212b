"""The films whose prediction a variant changes, drawn while their pixels are at hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.report.conversion_report import ConversionReport
from cxr_edge_train.dataset.class_names import ClassNames
from cxr_edge_train.evaluation.worst_errors import draw_films, shown_name
from cxr_edge_train.reporting.figures import save_figure

FIGURES = "figures"
# The map of a model for a few films: [K, H, W, 1] uint8 to [K, h, w].
Maps = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
_SHOWN = 12


def changed_predictions_figure(folder: Path, variant: str) -> Path:
    """Where the plot of a variant lies, in the folder of the conversion."""
    return folder / FIGURES / f"flipped-{variant}.png"


def draw_changed_predictions(
    folder: Path,
    report: ConversionReport,
    table: pd.DataFrame,
    pixels: NDArray[np.uint8],
    maps: Maps | None,
) -> None:
    """Draw the changed predictions of each variant that has any, those that moved furthest.

    Args:
        folder: the folder of the conversion.
        report: what was made.
        table: the rows of the validation images.
        pixels: ``[N, H, W, 1] uint8`` of them.
        maps: the float model's activation maps, None where it has none.
    """
    row_of = {path: row for row, path in enumerate(table["path"])}
    for variant in report.variants:
        changed = variant.verification.to_positive + variant.verification.to_negative
        if not changed:
            continue
        shown = sorted(changed, key=lambda change: -abs(change.after - change.before))[:_SHOWN]
        films = pixels[[row_of[change.path] for change in shown]]
        captions = [
            f"{change.label}: {change.before:.3f} became {change.after:.3f}\n"
            f"{shown_name(change.path)}"
            for change in shown
        ]
        figure = draw_films(
            captions,
            films,
            maps(films) if maps else None,
            names=ClassNames(*report.labels),
            title=f"{variant.name}: {len(shown)} of {len(changed)} changed predictions",
        )
        save_figure(figure, changed_predictions_figure(folder, variant.name))
