import threading
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_runtime.preprocess import locator_input
from cxr_edge_train.locator.fit import SETTINGS, fit_locator
from cxr_edge_train.runs import read_history
from locators import lung_film, small_network

FILMS, MASKS = (np.stack(pixels) for pixels in zip(*map(lung_film, range(12))))
VALIDATION = (
    np.concatenate([locator_input(film) for film in FILMS[:4]]),
    MASKS[:4].reshape(4, 32, 2, 32, 2).mean(axis=(2, 4)).astype(np.float32) / 255,
)
# Two steps in each of two epochs, in which the weights move visibly.
SHORT = replace(SETTINGS, batch_size=6, epochs=2, learning_rate=0.05, weight_average=0.5)


def fit(output: Path, *callbacks: keras.callbacks.Callback, epochs: int = 2) -> keras.Model:
    output.mkdir(exist_ok=True)
    model = small_network()
    settings = replace(SHORT, epochs=epochs)
    fit_locator(
        model, FILMS, MASKS, VALIDATION, settings=settings, seed=1, output=output,
        callbacks=callbacks,
    )  # fmt: skip
    return model


class Power(keras.callbacks.Callback):  # type: ignore[misc]
    """Goes out within the second epoch."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if int(self.model.optimizer.iterations) == 3:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """The fit that nobody interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(folder)


def test_history_has_loss_and_dice_of_each_epoch(whole: tuple[Path, keras.Model]) -> None:
    history = read_history(whole[0], measured="val_dice")
    assert sorted(history.columns) == ["epoch", "loss", "seconds", "val_dice"]
    assert history["epoch"].tolist() == [0, 1]
    assert history["val_dice"].between(0.5, 1.0).all()


def test_weights_are_the_average_over_the_last_steps(whole: tuple[Path, keras.Model]) -> None:
    # Had the average been left out, the weights were those that the optimizer goes on from.
    average = whole[1].optimizer._model_variables_moving_average
    for weight, mean in zip(whole[1].trainable_variables, average, strict=True):
        assert np.array_equal(np.asarray(weight), np.asarray(mean))
    assert not np.array_equal(whole[1].get_weights()[0], small_network().get_weights()[0])


def test_killed_fit_goes_on_as_if_nothing_had_happened(
    whole: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, Power())
    assert len(read_history(tmp_path, measured="val_dice")) == 1
    resumed = fit(tmp_path)
    for one, other in zip(whole[1].get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(one, other)
    histories = [
        read_history(folder, measured="val_dice").drop(columns="seconds")
        for folder in (whole[0], tmp_path)
    ]
    assert histories[0].equals(histories[1])


def test_fit_that_was_killed_after_its_last_epoch_has_its_weights(
    whole: tuple[Path, keras.Model],
) -> None:
    again = fit(whole[0])
    for one, other in zip(whole[1].get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_threads_end_with_the_fit(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    fit(tmp_path, epochs=1)
    new = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in new if name.startswith("ThreadPoolExecutor")}


def test_loss_that_is_no_number_is_an_error_with_advice(tmp_path: Path) -> None:
    class Spoil(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: object = None) -> None:
            self.model.layers[-1].bias.assign([np.nan])

    with pytest.raises(
        RunError, match=r"became infinite or NaN in epoch 1; train with another seed"
    ):
        fit(tmp_path, Spoil())
