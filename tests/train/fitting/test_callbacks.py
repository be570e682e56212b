import math

from cxr_edge_train.fitting.callbacks import EPOCHS_LEFT, EpochsLeft, Seconds


def test_epochs_left_are_counted_while_validation_is_a_number() -> None:
    callback = EpochsLeft()
    callback.set_params({"epochs": 5})
    for epoch, loss, left in ((0, 0.7, 4), (3, 0.2, 1), (4, 0.1, 0), (4, math.nan, math.inf)):
        logs = {"val_loss": loss}
        callback.on_epoch_end(epoch, logs)
        assert logs[EPOCHS_LEFT] == left


def test_seconds_of_an_epoch_are_logged() -> None:
    callback, logs = Seconds(), {"loss": 0.5}
    callback.on_epoch_begin(0)
    callback.on_epoch_end(0, logs)
    assert 0 <= logs["seconds"] < 60
