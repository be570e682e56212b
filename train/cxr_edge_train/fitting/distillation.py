"""Knowledge distillation: several fits are the teachers of a model of the same size.

Fits from different seeds err on different images, so the mean of their predictions is often better
than any of them, and no lucky one has to be chosen. A device has no room for all of them. The
student starts from the mean of their weights (Wortsman et al. 2022, "Model soups") and is fitted to
their mean prediction for the very image that it sees, augmented as it is (Beyer et al. 2022,
"Knowledge distillation: A good teacher is patient and consistent").
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cxr_edge_train.fitting.batches import Images, SoftTargets
from cxr_edge_train.fitting.fit import fit
from cxr_edge_train.fitting.snapshots import discard, has_snapshot, read_progress
from cxr_edge_train.recipe import Fit, Recipe
from cxr_edge_train.runs import read_history

# The additional Keras callbacks of a fit, by its number from 0.
Callbacks = Callable[[int], Sequence[keras.callbacks.Callback]]


def teacher_folders(output: Path, teachers: int) -> list[Path]:
    """The folders of the teachers, below the run's folder, which is the student's."""
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
    validation_weights: NDArray[np.float64] | None = None,
    callbacks: Callbacks = lambda number: (),
) -> keras.Model:
    """Fit a model to the labels; where the recipe has teachers, fit them and then a student.

    Args:
        start: makes an untrained model from a seed.
        recipe: the hyper-parameters.
        train: training images, see :func:`cxr_edge_train.fitting.fit.fit`.
        validation: validation images, see there too.
        seed: seed of the first fit. Each later one has the next seed; the student is the last.
        output: folder of the run. Fits that were interrupted there are resumed.
        sampling_weights: how often each training image comes in an epoch, in all fits.
        validation_weights: how much each validation image counts in the loss, in all fits.
        callbacks: gives additional Keras callbacks for each fit, by its number from 0.

    Returns:
        The model of the epoch that the recipe keeps, the student's where there are teachers.

    Raises:
        RunError: as ``fit``.
        InvalidRequest: as ``fit``.
        OSError: as ``fit``.
    """

    def fitted(
        number: int,
        model: keras.Model,
        recipe: Recipe,
        folder: Path,
        soft_targets: SoftTargets | None,
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
            validation_weights=validation_weights,
            soft_targets=soft_targets,
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
    return fitted(len(teachers), student, settings, output, teacher_targets(teachers))


def student_settings(settings: Fit) -> Fit:
    """The settings of a student, whose head is trained and whose targets are smooth already."""
    return replace(settings, head_epochs=0, label_smoothing=0.0)


def mean_weights(models: Sequence[keras.Model]) -> list[NDArray[np.float32]]:
    """The mean of each weight over models of the same architecture, in Keras' order."""
    of_models = zip(*(model.get_weights() for model in models))
    return [np.mean(weights, axis=0) for weights in of_models]


def teacher_targets(teachers: Sequence[keras.Model]) -> SoftTargets:
    """Targets for a student: the probability at the mean of the teachers' logits."""

    def targets(images: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = [
            np.asarray(teacher.predict_on_batch({"image": images})["logit"]) for teacher in teachers
        ]
        mean: NDArray[np.float32] = expit(np.mean(logits, axis=0)).astype(np.float32)
        return mean

    return targets


def is_begun(output: Path) -> bool:
    """Whether any fit in a run's folder has finished an epoch."""
    return any(map(has_snapshot, [output, *output.glob("teacher-*")]))


def epochs_done(output: Path, teachers: int) -> int:
    """The number of finished epochs over all fits.

    Raises:
        RunError: a snapshot is damaged.
    """
    folders = [output, *teacher_folders(output, teachers)]
    return sum(read_progress(folder).epochs for folder in folders)


def seconds_of_all_fits(output: Path, teachers: int) -> float:
    """The wall time of all epochs in seconds, without interruptions.

    Raises:
        RunError: a ``history.csv`` is missing or damaged.
    """
    folders = [output, *teacher_folders(output, teachers)]
    return sum(float(read_history(folder)["seconds"].sum()) for folder in folders)


def discard_fits(output: Path) -> None:
    """Remove the snapshots of all fits of a finished run; the histories of teachers stay."""
    for folder in [output, *output.glob("teacher-*")]:
        discard(folder)
