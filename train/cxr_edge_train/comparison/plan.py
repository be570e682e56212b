"""What a comparison has to train: checked as a whole before the first image is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.outputs import check_folder
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.fitting.train import starting_weights
from cxr_edge_train.recipe import Recipe, as_recipe, read_recipe
from cxr_edge_train.runs import RUN, read_run

T = TypeVar("T")

# In a mapping by architecture, the value of all that are not named.
OTHERS = "*"
Weights = str | Path | None
RecipeSource = str | Path | Recipe | None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One architecture of a comparison.

    Attributes:
        task: what it is trained from.
        folder: folder of its run.
        finished: the run exists already.
        parameters: number of parameters of the network.
    """

    task: TrainingTask
    folder: Path
    finished: bool
    parameters: int


def plan(
    table: pd.DataFrame,
    architectures: Sequence[str] | None,
    *,
    weights: Weights | Mapping[str, Weights],
    recipe: RecipeSource | Mapping[str, RecipeSource],
    seed: int,
    root: Path,
    output: Path,
) -> list[PlannedRun]:
    """Check names, recipes, weights and the runs that exist already.

    Args:
        table: images with their splits.
        architectures: names, in the order in which they are trained and shown; None for all.
        weights: see :func:`cxr_edge_train.comparison.run.compare`.
        recipe: see there.
        seed: seed of all runs.
        root: folder that the paths in the table are relative to.
        output: folder of the comparison; runs lie in ``runs/NAME``.

    Raises:
        InvalidRequest: the names are no list, one is unknown or given twice, weights do not fit, or
            a finished run was trained from something else.
    """
    architectures = _names(architectures)
    # What is said of all others is not meant for networks without pretrained weights.
    from_scratch: dict[str, Weights] = {
        name: None
        for name in architectures
        if name in ARCHITECTURES and not ARCHITECTURES[name].pretrained
    }
    weights_of = _by_name("weights", from_scratch | _named(weights), architectures, "imagenet")
    check_folder(output, "a comparison", ours=_is_comparison)
    recipe_of = _by_name("a recipe", _named(recipe), architectures, None)
    runs = []
    for name in architectures:
        start = starting_weights(weights_of[name])
        chosen = as_recipe(recipe_of[name])
        # Finds unknown names and weights that do not fit, before hours of training.
        parameters = int(build(name, chosen.model, weights=start).count_params())
        task = TrainingTask.of(
            table, architecture=name, weights=start, recipe=chosen, seed=seed, root=root
        )
        folder = output / "runs" / name
        finished = (folder / RUN).exists()
        if finished:
            _check_same(task, folder)
        runs.append(PlannedRun(task, folder, finished, parameters))
    return runs


def _names(architectures: Sequence[str] | None) -> list[str]:
    if architectures is None:
        return list(ARCHITECTURES)
    if (
        isinstance(architectures, str)
        or not isinstance(architectures, Sequence)
        or not architectures
        or not all(isinstance(name, str) for name in architectures)
    ):
        raise InvalidRequest(f"architectures must be a list of names, not {architectures!r}")
    if len(set(architectures)) < len(architectures):
        raise InvalidRequest("an architecture is named twice")
    return list(architectures)


def _named(given: T | Mapping[str, T]) -> dict[str, T]:
    return dict(given) if isinstance(given, Mapping) else {OTHERS: given}


def _by_name(
    what: str, named: Mapping[str, T], architectures: Sequence[str], default: T
) -> dict[str, T]:
    strangers = [name for name in named if name not in (OTHERS, *architectures)]
    if strangers:
        raise InvalidRequest(
            f"{what} for {strangers[0]}: {strangers[0]} is not among the architectures compared"
        )
    return {name: named.get(name, named.get(OTHERS, default)) for name in architectures}


def _is_comparison(folder: Path) -> bool:
    return (folder / "runs").is_dir() and not (folder / RUN).exists()


def _check_same(task: TrainingTask, folder: Path) -> None:
    run, wanted = read_run(folder), task.fingerprint
    # How a model is converted is no part of what it learned.
    recorded = replace(read_recipe(folder / "recipe.toml"), calibration=task.recipe.calibration)
    # Runs of before the digest was recorded are known by the name alone.
    sha256 = run.weights_sha256 or wanted.weights_sha256
    pairs = {
        "architecture": (run.architecture, wanted.architecture),
        "weights": ((run.weights, sha256), (wanted.weights, wanted.weights_sha256)),
        "seed": (run.seed, wanted.seed),
        "dataset": (run.dataset_digest, wanted.dataset_digest),
        "recipe": (recorded, task.recipe),
    }
    changed = [what for what, (there, expected) in pairs.items() if there != expected]
    if changed:
        raise InvalidRequest(
            f"{folder}: holds a finished run with another {', '.join(changed)}; choose another "
            "output, or remove the folder"
        )
