"""The plots of an evaluation and of a run, as PNG files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_train.dataset.class_names import class_names, positives
from cxr_edge_train.evaluation.confusion_matrix import draw_confusion
from cxr_edge_train.evaluation.curves import draw_precision_recall, draw_reliability, draw_roc
from cxr_edge_train.evaluation.learning_curves import draw_learning_curves
from cxr_edge_train.evaluation.metrics import Metrics, count_decisions
from cxr_edge_train.evaluation.worst_errors import (
    draw_no_errors,
    draw_worst_errors,
    worst_errors,
)
from cxr_edge_train.recipe import recipe_of_run
from cxr_edge_train.reporting.figures import save_figure
from cxr_edge_train.runs import read_history

FIGURES = "figures"


def write_figures(
    folder: Path,
    predictions: pd.DataFrame,
    metrics: Metrics,
    *,
    threshold: float,
    films: Callable[[NDArray[np.intp]], NDArray[np.uint8]],
    activation_maps: Callable[[NDArray[np.uint8]], NDArray[np.floating]] | None,
) -> None:
    """Write plots of ROC, precision-recall, reliability, confusion matrix and worst errors.

    Args:
        folder: for the PNG files; made where absent.
        predictions: from :func:`cxr_edge_train.evaluation.predictions.prediction_table`.
        metrics: the metrics of the same predictions.
        threshold: the threshold of the decisions.
        films: gives the model's input ``[K, H, W, 1] uint8`` of the rows at K positions.
        activation_maps: gives the model's ``cam`` output ``[K, h, w]`` for such films; None for a
            model without it.
    """
    confusion = count_decisions(
        predictions["probability"].to_numpy(float), positives(predictions), threshold=threshold
    )
    save_figure(draw_roc(predictions, metrics, threshold=threshold), folder / "roc.png")
    save_figure(
        draw_precision_recall(predictions, metrics, threshold=threshold),
        folder / "precision_recall.png",
    )
    save_figure(draw_reliability(predictions, metrics), folder / "reliability.png")
    save_figure(draw_confusion(confusion, class_names(predictions)), folder / "confusion.png")
    worst = worst_errors(predictions)
    if worst.size:
        shown = films(worst)
        errors = draw_worst_errors(
            predictions.iloc[worst],
            shown,
            activation_maps(shown) if activation_maps else None,
            n_errors=confusion.n - confusion.correct,
        )
    else:
        errors = draw_no_errors()
    save_figure(errors, folder / "worst_errors.png")


def write_learning_curves(run: Path, folder: Path) -> None:
    """Plot the ``history.csv`` of a run.

    Args:
        run: folder of the run; its recipe says which epoch was kept.
        folder: folder for ``learning_curves.png``.

    Raises:
        RunError: ``history.csv`` is missing or damaged.
    """
    settings = recipe_of_run(run).fit
    figure = draw_learning_curves(read_history(run), settings)
    save_figure(figure, folder / "learning_curves.png")
