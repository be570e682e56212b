import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.architectures.pretrained import BACKBONE
from cxr_edge_train.fitting import fit, predict_logits
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from tiny_model import tiny_model

RANDOM = np.random.default_rng(0)
LABELS = np.array([0, 1] * 30)
PIXELS = RANDOM.integers(0, 120, (60, 32, 32, 1)).astype(np.uint8)
PIXELS[LABELS == 1, 8:24, 8:24] += 120


def fitted(output: Path, *, callbacks: Any = (), **settings: Any) -> keras.Model:
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
        callbacks=callbacks,
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
    fitted(tmp_path, callbacks=[watch], learning_rate=1e-2)
    np.testing.assert_array_equal(watch.kernels[0], start)
    assert np.abs(watch.kernels[1] - start).max() > 0


def test_best_epoch_of_fine_tuning_comes_back(tmp_path: Path) -> None:
    class SpoilTheLastEpoch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(losses(tmp_path)) == 3:
                cam = self.model.get_layer("cam")
                cam.set_weights([cam.get_weights()[0], np.array([50.0])])

    model = fitted(tmp_path, callbacks=[SpoilTheLastEpoch()], learning_rate=1e-2)
    measured = losses(tmp_path)
    assert measured[-1] > 5 > min(measured[1:])
    logits = predict_logits(model, PIXELS[:20])
    smoothed = LABELS[:20] * 0.95 + 0.025
    loss = np.mean(np.logaddexp(0, logits) - smoothed * logits)
    assert loss == pytest.approx(min(measured[1:]), rel=1e-3)
    assert not (tmp_path / "checkpoint.keras").exists()


def test_fine_tuning_stops_after_the_patience(tmp_path: Path) -> None:
    fitted(tmp_path, learning_rate=1e-9, epochs=30, patience=2, warmup_epochs=0.0)
    assert len(losses(tmp_path)) < 31


def test_loss_that_is_no_number_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the loss was never a number; lower learning_rate"):
        fitted(tmp_path, learning_rate=1e30, warmup_epochs=0.0)


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    models = []
    for folder in folders:
        folder.mkdir()
        models.append(fitted(folder))
    assert losses(folders[0]) == losses(folders[1])
    for one, other in zip(models[0].get_weights(), models[1].get_weights()):
        np.testing.assert_array_equal(one, other)
