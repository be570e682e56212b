"""``cxr_edge.train``: from a cleaned and split data set to a trained classifier."""

from dataclasses import replace
from pathlib import Path

from cxr_edge_runtime.arguments import as_path, check_callables, check_share, optional_path
from cxr_edge_runtime.counting import counted
from cxr_edge_train.dataset.metadata import images_root, read_metadata, read_splits
from cxr_edge_train.dataset.sampling import as_seed
from cxr_edge_train.defaults import MIN_SENSITIVITY, default_cache_dir
from cxr_edge_train.fitting.events import CallbackFactory, OnStart, ignore_start, no_callbacks
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.fitting.training import train_run
from cxr_edge_train.fitting.unfinished import check_output, folder_for
from cxr_edge_train.locator_folder import read_locator
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Recipe, as_recipe
from cxr_edge_train.runs import Run
from cxr_edge_train.statistics.soundness import soundness_warnings


def train(
    metadata: str | Path,
    splits: str | Path = "splits.csv",
    *,
    architecture: str = "mobilenetv2",
    weights: str | Path | None = "imagenet",
    recipe: str | Path | Recipe | None = None,
    output: str | Path | None = None,
    root: str | Path | None = None,
    seed: int = 0,
    min_sensitivity: float = MIN_SENSITIVITY,
    locator: str | Path | None = None,
    on_start: OnStart = ignore_start,
    callbacks: CallbackFactory = no_callbacks,
    progress: ProgressFactory = no_progress,
) -> Run:
    """Train a classifier of chest X-rays; the operating point is chosen on validation.

    Test images are not read. The same call resumes a training that was interrupted.

    Args:
        metadata: ``clean_metadata.csv``, which :func:`cxr_edge.clean` writes.
        splits: ``splits.csv``, which :func:`cxr_edge.split` writes.
        architecture: ``pure_cnn``, ``mobilenet``, ``mobilenetv2``, ``vgg16`` or ``densenet121``.
        weights: what the backbone's weights start from: ``imagenet``, which Keras downloads once,
            a file of weights, or None (or ``none``) for random ones.
        recipe: the hyper-parameters: a recipe, or the path of its TOML file; None for the defaults.
        output: folder of the run; None for a new one in the user's cache folder.
        root: folder that the paths in the metadata are relative to; None for the folder of the
            metadata.
        seed: seed of everything random, 0 to 2**32 - 1.
        min_sensitivity: the lowest sensitivity that the threshold may have on validation, above 0
            and at most 1.
        locator: the folder of a lung locator. Films are cut to the box of their lungs, here and
            on every device that the model comes to, and the run keeps a copy of it; None shows
            films whole.
        on_start: called once before the images are read.
        callbacks: gives additional Keras callbacks for the fit.
        progress: makes the progress bar over the images that are decoded.

    Returns:
        The run, with its folder, its operating point, its validation metrics (optimistic, since
        the threshold was chosen on them) and warnings.

    Raises:
        InvalidRequest: an argument is of the wrong type or out of range, the recipe or the
            architecture is unknown, the weights do not fit, or the output holds something else.
        DatasetError: metadata, splits or images are missing, damaged or too few.
        WeightsUnavailable: the ImageNet weights cannot be downloaded.
        RunError: the loss was no longer a number, or what an earlier training left is damaged, or
            the locator is missing or damaged.
        EngineError: the locator cannot be loaded or run.

    Examples:
        >>> from cxr_edge import Recipe, train
        >>> from cxr_edge_train.recipe import Fit, Model
        >>> small = Recipe(Model(image_size=32, alpha=0.25), fit=Fit(epochs=1))
        >>> run = train("clean_metadata.csv", architecture="pure_cnn", weights=None,
        ...             recipe=small, output="run")
        >>> run.folder.name, run.operating_point.chosen_on
        ('run', 'validation')
        >>> metrics = run.metrics["validation"]
        >>> bool(metrics["sensitivity"].value >= 0.95)
        True
    """
    check_callables(on_start=on_start, callbacks=callbacks, progress=progress)
    given = optional_path(output, "output")
    if given is not None:
        check_output(given)
    task, left_out = training_task(
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
    cache_dir = default_cache_dir()
    run = train_run(
        task,
        output=given or folder_for(cache_dir, task.fingerprint),
        cache_dir=cache_dir,
        on_start=on_start,
        callbacks=callbacks,
        progress=progress,
    )
    return replace(run, warnings=_warnings(run, left_out))


def training_task(
    metadata: str | Path,
    splits: str | Path,
    *,
    architecture: str,
    weights: str | Path | None,
    recipe: str | Path | Recipe | None,
    root: str | Path | None,
    seed: int,
    min_sensitivity: float,
    locator: str | Path | None,
) -> tuple[TrainingTask, int]:
    """Put together what a run is trained from; arguments and errors as of :func:`train`.

    Returns:
        The task, and the number of images of the metadata that are in no split.
    """
    metadata, splits = as_path(metadata, "metadata"), as_path(splits, "splits")
    check_share(min_sensitivity, "min_sensitivity")
    chosen, folder = as_recipe(recipe), optional_path(locator, "locator")
    cleaned = read_metadata(metadata)
    table = read_splits(splits, cleaned)
    task = TrainingTask.of(
        table,
        architecture=architecture,
        weights=starting_weights(weights),
        recipe=chosen,
        seed=as_seed(seed),
        root=images_root(root, default=metadata.resolve().parent),
        min_sensitivity=min_sensitivity,
        locator=None if folder is None else read_locator(folder),
    )
    return task, len(cleaned) - len(table)


def starting_weights(weights: str | Path | None) -> str | None:
    """Weights as the user names them: ``imagenet``, a file, or None for random ones.

    Raises:
        InvalidRequest: they are neither text nor a path nor None.
    """
    if weights is None or weights == "none":
        return None
    return str(as_path(weights, "weights"))


def _warnings(run: Run, left_out: int) -> tuple[str, ...]:
    warnings = []
    if left_out:
        warnings.append(f"{counted(left_out, 'image')} of the metadata left out (in no split)")
    if run.unknown_patients is not None:
        warnings.extend(run.unknown_patients.warnings)
    warnings += soundness_warnings(run.metrics["validation"], run.operating_point, run.class_names)
    return tuple(warnings)
