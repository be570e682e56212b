import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxr_edge_train.fitting import predict_logits
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from cxr_edge_train.weight_averaging import (
    discard_fits,
    epochs_done,
    fit_and_average,
    is_begun,
    mean_history,
    mean_weights,
    renew_batch_norm,
)
from small_fit import films
from tiny_model import tiny_model

PIXELS, LABELS = films()
FITS = 3


def averaged(output: Path, *, callbacks: Any = lambda number: (), fits: int = FITS) -> keras.Model:
    recipe = Recipe(
        Model(image_size=32),
        Augmentation(),
        Fit(batch_size=20, head_epochs=1, epochs=2, learning_rate=1e-2, fits=fits),
    )

    def start(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return tiny_model()

    return fit_and_average(
        start,
        recipe,
        (PIXELS, LABELS),
        (PIXELS[:20], LABELS[:20]),
        seed=5,
        output=output,
        callbacks=callbacks,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, averaged(folder)


def test_one_fit_is_itself_in_the_runs_own_folder(tmp_path: Path) -> None:
    model = averaged(tmp_path, fits=1)
    assert model.optimizer is not None
    assert (tmp_path / "history.csv").exists()
    assert not list(tmp_path.glob("fit-*"))


def test_average_has_the_mean_of_the_fits_weights(whole: tuple[Path, keras.Model]) -> None:
    folder, model = whole
    kept = [
        keras.models.load_model(next(fit.glob("best-*.keras")), compile=False)
        for fit in sorted(folder.glob("fit-*"))
    ]
    assert len(kept) == FITS
    assert not np.array_equal(kept[0].get_weights()[0], kept[1].get_weights()[0])  # other seeds
    for variable, *of_fits in zip(
        model.trainable_variables, *(fit.trainable_variables for fit in kept), strict=True
    ):
        np.testing.assert_allclose(
            variable, np.mean([np.asarray(value) for value in of_fits], axis=0), rtol=1e-6
        )
    assert roc_auc_score(LABELS, predict_logits(model, PIXELS)) > 0.9


def test_average_keeps_the_contract_of_the_model(whole: tuple[Path, keras.Model]) -> None:
    _, model = whole
    assert [value.name for value in model.inputs] == ["image"]
    assert set(model.output) == set(tiny_model().output)


def test_history_has_the_means_over_the_fits_and_all_seconds(
    whole: tuple[Path, keras.Model],
) -> None:
    folder, _ = whole
    rows, *of_fits = (
        list(csv.DictReader(file.read_text().splitlines()))
        for file in [folder / "history.csv", *sorted(folder.glob("fit-*/history.csv"))]
    )
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for row, *same in zip(rows, *of_fits, strict=True):
        assert float(row["val_loss"]) == pytest.approx(
            np.mean([float(one["val_loss"]) for one in same])
        )
        assert float(row["seconds"]) == pytest.approx(
            sum(float(one["seconds"]) for one in same), abs=0.01
        )


def test_history_of_fits_that_ended_apart_goes_to_the_last(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    files[0].write_text("epoch,loss,seconds,val_loss\n0,1.0,2.0,3.0\n1,0.5,2.0,2.0\n")
    files[1].write_text("epoch,loss,seconds,val_loss\n0,2.0,4.0,1.0\n")
    found = mean_history(files)
    assert found["loss"].tolist() == [1.5, 0.5]
    assert found["seconds"].tolist() == [6.0, 2.0]


def test_killed_run_goes_on_with_the_fit_it_was_in(
    whole: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    assert not is_begun(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        averaged(tmp_path, callbacks=lambda number: [Interrupt()] if number == 1 else [])
    assert is_begun(tmp_path)
    assert epochs_done(tmp_path, FITS) == 3 + 2
    begun = []

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            begun.append((self.number, epoch))

    model = averaged(tmp_path, callbacks=lambda number: [Watch(number)])
    assert begun == [(1, 2), (2, 0), (2, 1), (2, 2)]
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_nothing_is_left_to_go_on_from_when_the_run_is_done(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "fit-1"):
        folder.mkdir(exist_ok=True)
        (folder / "snapshot.npz").touch()
    (tmp_path / "history.csv").touch()
    discard_fits(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_batch_norm_goes_by_the_mean_and_the_variance_of_all_batches() -> None:
    random = np.random.default_rng(0)
    batches = [random.normal(3, 2, (8, 5)).astype(np.float32) for _ in range(4)]
    image = keras.Input((5,), name="image")
    norm = keras.layers.BatchNormalization(momentum=0.9)
    model = keras.Model({"image": image}, norm(image))
    renew_batch_norm(model, ({"image": batch} for batch in batches))
    np.testing.assert_allclose(
        norm.moving_mean, np.mean([batch.mean(axis=0) for batch in batches], axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        norm.moving_variance, np.mean([batch.var(axis=0) for batch in batches], axis=0), rtol=1e-5
    )
    assert norm.momentum == 0.9


def test_mean_of_one_model_is_the_model() -> None:
    model = tiny_model()
    np.testing.assert_array_equal(
        predict_logits(mean_weights([model]), PIXELS), predict_logits(model, PIXELS)
    )
