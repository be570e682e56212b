"""Several fits as teachers, and a model of their size that learns to answer as they do together.

Fits from different seeds err on different images, so their mean answer is often better than any of
them and spares the choice of a lucky one. A device has no room for all. The student begins
with the mean of their weights (Wortsman et al. 2022, "Model soups") and is fitted to their mean
answer on the very image it sees, augmented as it is (Beyer et al. 2022, "Knowledge distillation: A
good teacher is patient and consistent").
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_edge_train.fitting.batches import Targets
from cxr_edge_train.fitting.fit import Images, fit
from cxr_edge_train.fitting.snapshots import discard, has_snapshot, read_progress
from cxr_edge_train.recipe import Fit, Recipe
from cxr_edge_train.runs import read_history

Callbacks = Callable[[int], Sequence[keras.callbacks.Callback]]


def teacher_folders(output: Path, teachers: int) -> list[Path]:
    """Where the teachers keep their state, below the run's folder, which is the student's."""
    return [output / f"teacher-{number + 1}" for number in range(teachers)]


def fit_or_distil(
    start: Callable[[int], keras.Model],
    recipe: Recipe,
    train: Images,
    validation: Images,
    *,
    seed: int,
    output: Path,
    sampling_weights: NDArray[np.float64] | None = None,
    callbacks: Callbacks = lambda number: (),
) -> keras.Model:
    """Fit to the labels or, where the recipe has teachers, fit those and then to their answers.

    Args:
        start: an untrained model from a seed.
        recipe: hyper-parameters.
        train: see :func:`cxr_edge_train.fitting.fit.fit`, as all that follows.
        validation: the same.
        seed: of the first fit; each later one, the student's being the last, has the next.
        output: the run's folder. What lies there is gone on with, fit by fit.
        sampling_weights: the same for all fits.
        callbacks: more Keras callbacks of each fit, counted from 0.

    Returns:
        The model of the epoch that the recipe keeps, the student's where there are teachers.

    Raises:
        RunError: as ``fit``.
        InvalidRequest: as ``fit``.
        OSError: as ``fit``.
    """

    def fitted(
        number: int, model: keras.Model, recipe: Recipe, folder: Path, answers: Targets | None
    ) -> keras.Model:
        folder.mkdir(exist_ok=True)
        return fit(
            model,
            recipe,
            train,
            validation,
            seed=seed + number,
            output=folder,
            sampling_weights=sampling_weights,
            answers=answers,
            callbacks=callbacks(number),
        )

    folders = teacher_folders(output, recipe.fit.teachers)
    teachers = [
        fitted(number, start(seed + number), recipe, folder, None)
        for number, folder in enumerate(folders)
    ]
    student = start(seed + len(teachers))
    if not teachers:
        return fitted(0, student, recipe, output, None)
    student.set_weights(mean_weights(teachers))
    settings = replace(recipe, fit=student_settings(recipe.fit))
    return fitted(len(teachers), student, settings, output, mean_answer(teachers))


def student_settings(settings: Fit) -> Fit:
    """What differs for a student: its head is trained, and its targets are smooth already."""
    return replace(settings, head_epochs=0, label_smoothing=0.0)


def mean_weights(models: Sequence[keras.Model]) -> list[NDArray[np.float32]]:
    """The mean of each weight over models of one architecture, in Keras' order."""
    of_models = zip(*(model.get_weights() for model in models))
    return [np.mean(weights, axis=0) for weights in of_models]


def mean_answer(teachers: Sequence[keras.Model]) -> Targets:
    """The probability at the mean of the teachers' logits."""

    def answer(images: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = [
            np.asarray(teacher.predict_on_batch({"image": images})["logit"]) for teacher in teachers
        ]
        mean: NDArray[np.float32] = expit(np.mean(logits, axis=0)).astype(np.float32)
        return mean

    return answer


def is_begun(output: Path) -> bool:
    """Whether an epoch of any fit was finished in a run's folder."""
    return any(map(has_snapshot, [output, *output.glob("teacher-*")]))


def epochs_done(output: Path, teachers: int) -> int:
    """Epochs finished, over all fits.

    Raises:
        RunError: a snapshot is damaged.
    """
    folders = [output, *teacher_folders(output, teachers)]
    return sum(read_progress(folder).epochs for folder in folders)


def seconds_of_all_fits(output: Path, teachers: int) -> float:
    """Wall time of all epochs, interruptions left out.

    Raises:
        RunError: a ``history.csv`` is missing or damaged.
    """
    folders = [output, *teacher_folders(output, teachers)]
    return sum(float(read_history(folder)["seconds"].sum()) for folder in folders)


def discard_fits(output: Path) -> None:
    """Remove what the fits of a finished run left to go on from; of teachers the history stays."""
    for folder in [output, *output.glob("teacher-*")]:
        discard(folder)
