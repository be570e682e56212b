import csv
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.architectures.backbone import BACKBONE
from cxr_edge_train.backend import devices
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.fitting import callbacks
from cxr_edge_train.fitting.fit import fit
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from tiny_model import tiny_model

RANDOM = np.random.default_rng(0)
LABELS = np.array([0, 1] * 30)
PIXELS = RANDOM.integers(0, 120, (60, 32, 32, 1)).astype(np.uint8)
PIXELS[LABELS == 1, 8:24, 8:24] += 120


def fitted(output: Path, *, watchers: Any = (), **settings: Any) -> keras.Model:
    recipe = Recipe(
        Model(image_size=32),
        Augmentation(),
        Fit(**({"batch_size": 20, "head_epochs": 1, "epochs": 3} | settings)),
    )
    return fit(
        tiny_model(),
        recipe,
        (PIXELS, LABELS),
        (PIXELS[:20], LABELS[:20]),
        seed=0,
        output=output,
        callbacks=watchers,
    )


def losses(output: Path) -> list[float]:
    rows = csv.DictReader((output / "history.csv").read_text().splitlines())
    return [float(row["val_loss"]) for row in rows]


def test_backbone_is_frozen_while_the_head_is_trained(tmp_path: Path) -> None:
    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kernels: list[np.ndarray] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.kernels.append(self.model.get_layer(BACKBONE).get_weights()[0].copy())

    watch = Watch()
    start = tiny_model().get_layer(BACKBONE).get_weights()[0]
    fitted(tmp_path, watchers=[watch], learning_rate=1e-2)
    np.testing.assert_array_equal(watch.kernels[0], start)
    assert np.abs(watch.kernels[1] - start).max() > 0


def test_best_epoch_of_fine_tuning_comes_back(tmp_path: Path) -> None:
    class SpoilTheLastEpoch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(losses(tmp_path)) == 3:
                cam = self.model.get_layer("cam")
                cam.set_weights([cam.get_weights()[0], np.array([50.0])])

    model = fitted(tmp_path, watchers=[SpoilTheLastEpoch()], learning_rate=1e-2)
    measured = losses(tmp_path)
    assert measured[-1] > 5 > min(measured[1:])
    logits = predict_logits(model, PIXELS[:20])
    loss = np.mean(np.logaddexp(0, logits) - LABELS[:20] * logits)
    assert loss == pytest.approx(min(measured[1:]), rel=1e-3)


def test_fine_tuning_stops_after_the_patience(tmp_path: Path) -> None:
    fitted(tmp_path, learning_rate=1e-9, epochs=30, patience=2, warmup_epochs=0.0)
    assert len(losses(tmp_path)) < 31


def test_loss_that_is_no_number_stops_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"became infinite or NaN in epoch 2; lower learning_rate"):
        fitted(tmp_path, learning_rate=1e30, warmup_epochs=0.0)


def test_best_model_before_the_loss_left_the_numbers_is_kept(tmp_path: Path) -> None:
    class Poison(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                cam = self.model.get_layer("cam")
                cam.set_weights([cam.get_weights()[0] * np.nan, cam.get_weights()[1]])

    with pytest.raises(RunError, match=r"epoch 3; .* best model before that is .*best-0002\.keras"):
        fitted(tmp_path, watchers=[Poison()])
    kept = keras.models.load_model(tmp_path / "best-0002.keras")
    assert np.isfinite(predict_logits(kept, PIXELS)).all()


def test_validation_loss_that_never_is_a_number_is_an_error_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        callbacks, "predict_logits", lambda model, pixels: np.full(len(pixels), np.nan, np.float32)
    )
    with pytest.raises(RunError, match="the validation loss was never finite; lower learning_ra"):
        fitted(tmp_path, head_epochs=0, epochs=1)


def test_moving_average_of_weights_is_what_is_measured_and_saved(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("raw", "average")]
    models = []
    for folder, momentum in zip(folders, (0.0, 0.9)):
        folder.mkdir()
        settings = {"learning_rate": 1e-2, "epochs": 1, "head_epochs": 0}
        models.append(fitted(folder, weight_average=momentum, **settings))
    raw, average = (model.get_layer("cam").get_weights()[0] for model in models)
    start = tiny_model().get_layer("cam").get_weights()[0]
    assert np.abs(average - start).sum() < np.abs(raw - start).sum()
    logits = predict_logits(models[1], PIXELS[:20])
    loss = np.mean(np.logaddexp(0, logits) - LABELS[:20] * logits)
    assert loss == pytest.approx(losses(folders[1])[0], rel=1e-3)


def test_model_trained_in_mixed_precision_computes_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "devices", lambda: ["gpu:0"])
    with devices.computing(Fit()):
        assert keras.config.dtype_policy().name == "mixed_float16"
        model = fitted(tmp_path)
    assert keras.config.dtype_policy().name == "float32"
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    plain = tiny_model()
    plain.set_weights(loaded.get_weights())
    np.testing.assert_array_equal(predict_logits(loaded, PIXELS), predict_logits(plain, PIXELS))
    for saved, back in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(saved, back)


def test_threads_end_with_the_fit(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    fitted(tmp_path, epochs=1)
    new = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in new if name.startswith("ThreadPoolExecutor")}


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    models = []
    for folder in folders:
        folder.mkdir()
        models.append(fitted(folder))
    assert losses(folders[0]) == losses(folders[1])
    for one, other in zip(models[0].get_weights(), models[1].get_weights()):
        np.testing.assert_array_equal(one, other)


def test_last_epoch_is_kept_where_the_recipe_says_so(tmp_path: Path) -> None:
    class SpoilTheLastEpoch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(losses(tmp_path)) == 5:
                cam = self.model.get_layer("cam")
                cam.set_weights([cam.get_weights()[0], np.array([50.0])])

    settings = {"epochs": 5, "patience": 1, "weight_average": 0.5}
    model = fitted(
        tmp_path, watchers=[SpoilTheLastEpoch()], keep="last", learning_rate=1e-2, **settings
    )
    measured = losses(tmp_path)
    assert len(measured) == 6  # no patience ends it
    assert measured[-1] > 5
    logits = predict_logits(model, PIXELS[:20])
    loss = np.mean(np.logaddexp(0, logits) - LABELS[:20] * logits)
    assert loss == pytest.approx(measured[-1], rel=1e-3)


def test_last_epoch_is_found_again_after_a_restart(tmp_path: Path) -> None:
    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    whole, halted = tmp_path / "whole", tmp_path / "halted"
    for folder in (whole, halted):
        folder.mkdir()
    expected = fitted(whole, keep="last")
    with pytest.raises(KeyboardInterrupt):
        fitted(halted, watchers=[Interrupt()], keep="last")
    found = fitted(halted, keep="last")
    np.testing.assert_allclose(predict_logits(found, PIXELS), predict_logits(expected, PIXELS))


def test_last_epoch_is_not_kept_where_it_computes_no_number(tmp_path: Path) -> None:
    class PoisonAtTheEnd(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(losses(tmp_path)) == 3 and batch == 2:  # after the last loss was computed
                cam = self.model.get_layer("cam")
                cam.set_weights([cam.get_weights()[0] * np.nan, cam.get_weights()[1]])

    model = fitted(tmp_path, watchers=[PoisonAtTheEnd()], keep="last")
    assert np.isnan(losses(tmp_path)[-1])
    assert np.isfinite(predict_logits(model, PIXELS)).all()
