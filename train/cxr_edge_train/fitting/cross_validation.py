"""Cross-validation by patient: how much a result depends on which films validate it.

::

    OUTPUT/
    └── fold-1/ …    a run each, whose validation is one part of the films
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from cxr_edge_runtime.arguments import as_path, as_whole_number, check_callables
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.drawing import MIN_PATIENTS
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.defaults import MIN_SENSITIVITY, default_cache_dir
from cxr_edge_train.fitting.events import CallbackFactory, OnStart, ignore_start, no_callbacks
from cxr_edge_train.fitting.finished import check_same
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.fitting.train import training_task
from cxr_edge_train.fitting.training import start_of, train_run
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Recipe
from cxr_edge_train.runs import FOLD, RUN, UNFINISHED, Run, read_run

FOLDS = 5
_MOST_FOLDS = 20


@dataclass(frozen=True, slots=True)
class Spread:
    """A metric over the folds.

    Attributes:
        mean: over the folds.
        deviation: sample standard deviation.
        lowest: the lowest value.
        highest: the highest value.
    """

    mean: float
    deviation: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        """``0.987, standard deviation 0.002, 0.985 to 0.990``."""
        return (
            f"{self.mean:.3f}, standard deviation {self.deviation:.3f}, {self.lowest:.3f} to "
            f"{self.highest:.3f}"
        )


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The runs of all folds.

    Attributes:
        folder: the folder that holds them.
        runs: one for each fold.
    """

    folder: Path
    runs: tuple[Run, ...]

    @property
    def spread(self) -> Mapping[str, Spread]:
        """Each metric on validation over the folds, by name, but for sensitivity."""
        measured = [run.metrics["validation"] for run in self.runs]
        # Each fold's threshold is chosen for its sensitivity, which therefore hardly differs.
        shared = [
            name
            for name in measured[0]
            if name != "sensitivity" and all(name in metrics for metrics in measured)
        ]
        found = {}
        for name in shared:
            values = np.array([metrics[name].value for metrics in measured])
            found[name] = Spread(
                float(values.mean()), float(values.std(ddof=1)), float(values.min()),
                float(values.max()),
            )  # fmt: skip
        return found

    @property
    def notice(self) -> str:
        """That this is research software, to be shown beside every result."""
        return NOTICE


def cross_validate(
    metadata: str | Path,
    splits: str | Path = "splits.csv",
    *,
    output: str | Path,
    folds: int = FOLDS,
    architecture: str = "mobilenetv2",
    weights: str | Path | None = "imagenet",
    recipe: str | Path | Recipe | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    min_sensitivity: float = MIN_SENSITIVITY,
    locator: str | Path | None = None,
    on_start: OnStart = ignore_start,
    callbacks: CallbackFactory = no_callbacks,
    progress: ProgressFactory = no_progress,
) -> CrossValidation:
    """Train a classifier several times, each time measured on another part of the films.

    The training and validation images are divided by patient, stratified by label. Test images are
    not read. The same call resumes an interrupted one.

    Args:
        metadata: see :func:`cxr_edge.train`, as are all arguments that are not named here.
        splits: gives the images that are not test; which of them are validation does not matter.
        output: the folder of the runs, ``fold-1`` and so on.
        folds: number of parts, 2 to 20.
        architecture: name of the architecture.
        weights: what the backbone's weights start from.
        recipe: the hyper-parameters.
        root: folder that the paths in the metadata are relative to.
        seed: of the division and of everything random in each run.
        min_sensitivity: the lowest sensitivity of each operating point.
        locator: the folder of a lung locator.
        on_start: called before each run.
        callbacks: gives additional Keras callbacks for each fit.
        progress: makes the progress bars.

    Returns:
        The runs, and how much their metrics differ.

    Raises:
        InvalidRequest: see :func:`cxr_edge.train`; or a finished fold was trained from something
            else.
        DatasetError: see there; or a fold has too few patients of a label.
        RunError: see there.
        EngineError: see there.

    Examples:
        >>> from cxr_edge import Recipe, cross_validate
        >>> from cxr_edge_train.recipe import Fit, Model
        >>> small = Recipe(Model(image_size=32, alpha=0.25), fit=Fit(epochs=1))
        >>> found = cross_validate("clean_metadata.csv", output="folds", folds=2,
        ...                        architecture="pure_cnn", weights=None, recipe=small)
        >>> len(found.runs), found.spread["auc"].lowest <= found.spread["auc"].mean
        (2, True)
    """
    output = as_path(output, "output")
    folds = as_whole_number(folds, "folds", minimum=2, maximum=_MOST_FOLDS)
    check_callables(on_start=on_start, callbacks=callbacks, progress=progress)
    check_folder(output, "a cross-validation", ours=_is_cross_validation)
    task, _ = training_task(
        metadata,
        splits,
        architecture=architecture,
        weights=weights,
        recipe=recipe,
        root=root,
        seed=seed,
        min_sensitivity=min_sensitivity,
        locator=locator,
    )
    runs = []
    for number, part in enumerate(_parts(task, folds), start=1):
        folder = output / f"{FOLD}{number}"
        if (folder / RUN).exists():
            check_same(part, folder)
            on_start(start_of(part, folder, finished=True))
            runs.append(read_run(folder))
            continue
        runs.append(
            train_run(
                part,
                output=folder,
                cache_dir=default_cache_dir(),
                on_start=on_start,
                callbacks=callbacks,
                progress=progress,
            )
        )
    return CrossValidation(output, tuple(runs))


def _parts(task: TrainingTask, folds: int) -> list[TrainingTask]:
    table = task.table
    patients = patient_groups(table).groupby(table["label"]).nunique()
    if patients.min() < folds * MIN_PATIENTS:
        raise DatasetError(
            f"{patients.min()} patients of {patients.idxmin()} cannot be divided into {folds} "
            f"parts of at least {MIN_PATIENTS}; choose fewer folds"
        )
    division = StratifiedGroupKFold(folds, shuffle=True, random_state=task.seed)
    groups = patient_groups(table).to_numpy(object)
    parts = []
    for _, chosen in division.split(table, positives(table), groups=groups):
        is_validation = np.isin(np.arange(len(table)), chosen)
        part = TrainingTask.of(
            table.assign(split=np.where(is_validation, "validation", "train")),
            architecture=task.architecture,
            weights=task.weights,
            recipe=task.recipe,
            seed=task.seed,
            root=task.root,
            min_sensitivity=task.min_sensitivity,
            locator=task.locator,
        )
        part = replace(part, test_digest=task.test_digest)
        part.check_images()
        parts.append(part)
    return parts


def _is_cross_validation(folder: Path) -> bool:
    return any(
        (fold / name).exists() for fold in folder.glob(f"{FOLD}*") for name in (RUN, UNFINISHED)
    )
