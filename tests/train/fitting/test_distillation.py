from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from cxr_edge_runtime.errors import RunError
from cxr_edge_train.backend.keras_models import predict_logits
from cxr_edge_train.fitting.distillation import (
    discard_fits,
    epochs_done,
    fit_or_distil,
    is_begun,
    mean_weights,
    seconds_of_all_fits,
    teacher_targets,
)
from cxr_edge_train.fitting.snapshots import read_progress
from cxr_edge_train.recipe import Augmentation, Fit, Model, Recipe
from small_fit import films
from tiny_model import tiny_model

PIXELS, LABELS = films()
TEACHERS = 2
EPOCHS = 1 + 2  # of a teacher: head and fine-tuning
STILL = replace(Augmentation(), **dict.fromkeys(Augmentation.__slots__, 0.0))


def start(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return tiny_model()


def distilled(
    output: Path,
    *,
    callbacks: Any = lambda number: (),
    labels: np.ndarray = LABELS,
    augmentation: Augmentation = STILL,
    **settings: Any,
) -> keras.Model:
    fit = {
        "batch_size": 20,
        "epochs": 2,
        "learning_rate": 1e-2,
        "teachers": TEACHERS,
        "keep": "last",
    }
    return fit_or_distil(
        start,
        Recipe(Model(image_size=32), augmentation, Fit(**fit | settings)),
        (PIXELS, labels),
        (PIXELS[:20], LABELS[:20]),
        seed=5,
        output=output,
        callbacks=callbacks,
    )


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes which epochs of which fit begin, and with which weights a fit does."""

    def __init__(self, number: int, begun: list[tuple[int, int]]) -> None:
        super().__init__()
        self.number, self.begun = number, begun
        self.first: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.begun.append((self.number, epoch))
        self.first = self.first or self.model.get_weights()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model, list[np.ndarray]]:
    """A run that nobody interrupts, its model, and the weights its student began with."""
    folder = tmp_path_factory.mktemp("whole")
    watches = [Watch(number, []) for number in range(TEACHERS + 1)]
    model = distilled(folder, callbacks=lambda number: [watches[number]])
    return folder, model, watches[-1].first


def kept(folder: Path) -> list[keras.Model]:
    return [
        keras.models.load_model(next(teacher.glob("best-*.keras")), compile=False)
        for teacher in sorted(folder.glob("teacher-*"))
    ]


def test_without_teachers_the_labels_are_fitted(tmp_path: Path) -> None:
    model = distilled(tmp_path, teachers=0)
    assert not list(tmp_path.glob("teacher-*"))
    assert epochs_done(tmp_path, 0) == EPOCHS
    plain = predict_logits(model, PIXELS)
    assert (plain[LABELS == 1].mean() - plain[LABELS == 0].mean()) > 0


def test_student_begins_with_the_mean_of_its_teachers(
    whole: tuple[Path, keras.Model, list[np.ndarray]],
) -> None:
    folder, _, first = whole
    teachers = kept(folder)
    assert len(teachers) == TEACHERS
    assert not np.array_equal(teachers[0].get_weights()[0], teachers[1].get_weights()[0])
    for found, one, other in zip(first, *(t.get_weights() for t in teachers), strict=True):
        np.testing.assert_allclose(found, (one + other) / 2, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_student_learns_what_its_teachers_say_and_not_the_labels(tmp_path: Path) -> None:
    distilled(tmp_path, epochs=8)
    teachers = kept(tmp_path)
    # The student alone is fitted again, with labels that contradict its teachers.
    for file in (*tmp_path.glob("best-*.keras"), tmp_path / "snapshot.npz"):
        file.unlink()
    student = distilled(tmp_path, epochs=8, labels=1 - LABELS)
    answers = teacher_targets(teachers)(PIXELS.astype(np.float32))[:, 0]
    given = expit(predict_logits(student, PIXELS))
    assert np.abs(given - answers).mean() < np.abs(given - (1 - answers)).mean()
    assert np.corrcoef(given, answers)[0, 1] > 0.9


def test_teacher_targets_are_the_probability_at_the_mean_logit() -> None:
    teachers = [start(seed) for seed in (1, 2, 3)]
    logits = np.mean([predict_logits(teacher, PIXELS) for teacher in teachers], axis=0)
    found = teacher_targets(teachers)(PIXELS.astype(np.float32))
    assert found.shape == (len(PIXELS), 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0], expit(logits), rtol=1e-4)


def test_sure_teacher_outweighs_an_unsure_one() -> None:
    class Teacher:
        def __init__(self, logit: float) -> None:
            self.logit = logit

        def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"logit": np.full((len(inputs["image"]), 1), self.logit, np.float32)}

    found = teacher_targets([Teacher(9.0), Teacher(-1.0)])(np.zeros((2, 8, 8, 1), np.float32))
    # The mean of the two probabilities would be 0.63.
    np.testing.assert_allclose(found, [[expit(4.0)]] * 2, rtol=1e-6)


def test_mean_weights_of_one_model_are_its_own() -> None:
    model = tiny_model()
    for one, other in zip(mean_weights([model]), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_killed_run_goes_on_with_the_fit_it_was_in(
    whole: tuple[Path, keras.Model, list[np.ndarray]], tmp_path: Path
) -> None:
    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KeyboardInterrupt

    assert not is_begun(tmp_path)
    for number, done in ((1, EPOCHS + 1), (TEACHERS, TEACHERS * EPOCHS + 1)):
        with pytest.raises(KeyboardInterrupt):
            distilled(tmp_path, callbacks=lambda n, at=number: [Interrupt()] if n == at else [])
        assert is_begun(tmp_path)
        assert epochs_done(tmp_path, TEACHERS) == done
    begun: list[tuple[int, int]] = []
    model = distilled(tmp_path, callbacks=lambda number: [Watch(number, begun)])
    assert begun == [(TEACHERS, 1)]
    for one, other in zip(model.get_weights(), whole[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_seconds_are_those_of_all_fits(
    whole: tuple[Path, keras.Model, list[np.ndarray]],
) -> None:
    folder = whole[0]
    parts = [pd.read_csv(path)["seconds"].sum() for path in folder.rglob("history.csv")]
    assert len(parts) == TEACHERS + 1
    assert seconds_of_all_fits(folder, TEACHERS) == pytest.approx(sum(parts))


@pytest.mark.parametrize(
    "history",
    ["epoch,loss,val_loss\n0,0.5,0.5\n", "epoch,loss,val_loss,seconds\n0,0.5,0.5,soon\n"],
    ids=["no seconds", "seconds in words"],
)
def test_history_that_does_not_tell_the_seconds_is_damaged(tmp_path: Path, history: str) -> None:
    (tmp_path / "history.csv").write_text(history)
    with pytest.raises(RunError, match=r"history\.csv: damaged .*; make it again"):
        seconds_of_all_fits(tmp_path, 0)


def test_finished_run_keeps_the_histories_alone(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "teacher-1"):
        folder.mkdir(exist_ok=True)
        for name in ("snapshot.npz", "best-0003.keras", "history.csv"):
            (folder / name).touch()
    discard_fits(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"history.csv", "teacher-1/history.csv"}


def test_progress_counts_the_students_epochs_alone(
    whole: tuple[Path, keras.Model, list[np.ndarray]],
) -> None:
    # Its head was trained with its teachers.
    assert read_progress(whole[0]).epochs == EPOCHS - 1
