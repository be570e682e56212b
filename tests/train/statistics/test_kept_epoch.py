import math

import pandas as pd
import pytest

from cxr_edge_train.recipe import Fit
from cxr_edge_train.statistics.kept_epoch import kept_epoch, rank

HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2, 3, 4, 5],
        "loss": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
        "val_loss": [0.1, 0.5, 0.3, 0.4, 0.35, math.nan],
        "val_auc": [0.99, 0.90, 0.91, 0.95, 0.95, math.nan],
    }
)


@pytest.mark.parametrize(("keep", "epoch"), [("best", 4), ("loss", 2), ("last", 4)])
def test_kept_epoch_is_of_fine_tuning_and_has_a_loss_that_is_a_number(
    keep: str, epoch: int
) -> None:
    assert kept_epoch(HISTORY, Fit(head_epochs=1, keep=keep)) == epoch  # type: ignore[arg-type]


def test_best_epoch_of_an_earlier_version_is_that_of_the_lowest_loss() -> None:
    earlier = HISTORY.drop(columns="val_auc")
    assert kept_epoch(earlier, Fit(head_epochs=1, keep="best")) == 2


def test_no_epoch_is_kept_where_the_validation_loss_never_was_a_number() -> None:
    assert kept_epoch(HISTORY.tail(1), Fit(head_epochs=0)) is None


def test_equal_aucs_are_told_apart_by_the_loss_and_equal_epochs_are_not() -> None:
    one = rank("best", 1, {"val_auc": 1.0, "val_loss": 0.2})
    other = rank("best", 2, {"val_auc": 1.0, "val_loss": 0.1})
    assert one is not None
    assert other is not None
    assert other < one
    assert rank("best", 3, {"val_auc": 1.0, "val_loss": 0.1}) == other
