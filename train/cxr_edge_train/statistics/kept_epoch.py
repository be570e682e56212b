"""Which epoch of a fit is kept: one rule, while a model is fitted and when its history is read."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cxr_edge_train.recipe import Fit

# The values of ``keep`` in a recipe's ``[fit]``; the third, ``best``, is by the validation AUC.
LOSS, LAST = "loss", "last"


def rank(keep: str, epoch: int, measured: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The place of an epoch among the others of its fit; of two, the lower one is kept.

    Args:
        keep: the recipe's ``keep``.
        epoch: its number.
        measured: its row of ``history.csv``. Runs of before version 0.2 have no ``val_auc``; their
            best epoch is that of the lowest ``val_loss``, by which it was chosen then.

    Returns:
        Numbers to compare in order; None for an epoch that is not kept since its validation loss is
        no number.
    """
    loss, auc = float(measured["val_loss"]), float(measured.get("val_auc", math.nan))
    if not math.isfinite(loss):
        return None
    if keep == LAST:
        return (-float(epoch),)
    if keep == LOSS or math.isnan(auc):
        return (loss,)
    # On easy images several epochs rank all of them correctly.
    return -auc, loss


def kept_epoch(history: pd.DataFrame, settings: Fit) -> int | None:
    """The epoch, counted from 0, whose model a run has; None where no epoch could be kept.

    Args:
        history: ``history.csv`` of the run.
        settings: the section ``[fit]`` of its recipe.
    """
    places = {
        int(row["epoch"]): rank(settings.keep, int(row["epoch"]), row)
        for row in history.to_dict("records")
        if row["epoch"] >= settings.head_epochs
    }
    ranked = {epoch: place for epoch, place in places.items() if place is not None}
    return min(ranked, key=ranked.__getitem__) if ranked else None
