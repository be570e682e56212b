"""What a comparison has to train: checked as a whole before the first image is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.files.outputs import check_folder
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.fitting.finished import check_same
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.fitting.train import starting_weights
from cxr_edge_train.locator_folder import LocatorFolder
from cxr_edge_train.recipe import Recipe, as_recipe
from cxr_edge_train.runs import RUN, UNFINISHED

T = TypeVar("T")

# In a mapping by architecture, the value of all that are not named.
OTHERS = "*"
Weights = str | Path | None
RecipeSource = str | Path | Recipe | None
# One recipe, or several that are compared.
Recipes = RecipeSource | Sequence[RecipeSource]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One candidate of a comparison: an architecture with a recipe.

    Attributes:
        name: of the architecture; where it is trained by several recipes, with the recipe's name.
        task: what it is trained from.
        folder: folder of its run.
        finished: the run exists already.
        parameters: number of parameters of the network.
    """

    name: str
    task: TrainingTask
    folder: Path
    finished: bool
    parameters: int


def plan(
    table: pd.DataFrame,
    architectures: Sequence[str] | None,
    *,
    weights: Weights | Mapping[str, Weights],
    recipe: Recipes | Mapping[str, Recipes],
    seed: int,
    root: Path,
    output: Path,
    locator: LocatorFolder | None,
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
        locator: the lung locator of all runs; None where films are shown whole.

    Raises:
        InvalidRequest: the names are no list, one is unknown or given twice, weights do not fit,
            two recipes of an architecture have one name or one content, or a finished run was
            trained from something else.
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
    for architecture in architectures:
        start = starting_weights(weights_of[architecture])
        tasks: dict[str, TrainingTask] = {}
        for name, chosen in _named_recipes(architecture, recipe_of[architecture]):
            # Finds unknown names and weights that do not fit, before hours of training.
            parameters = int(build(architecture, chosen.model, weights=start).count_params())
            task = TrainingTask.of(
                table, architecture=architecture, weights=start, recipe=chosen, seed=seed,
                root=root, locator=locator,
            )  # fmt: skip
            _check_different(name, task, tasks)
            tasks[name] = task
            folder = output / "runs" / name
            finished = (folder / RUN).exists()
            if finished:
                check_same(task, folder)
            runs.append(PlannedRun(name, task, folder, finished, parameters))
    return runs


def _named_recipes(architecture: str, given: Recipes) -> list[tuple[str, Recipe]]:
    """The candidates of an architecture, by name."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [(architecture, as_recipe(given))]
    if not given:
        raise InvalidRequest(f"no recipe is given for {architecture}")
    if len(given) == 1:
        return [(architecture, as_recipe(given[0]))]
    return [
        (f"{architecture}-{_name_of(source, number)}", as_recipe(source))
        for number, source in enumerate(given, start=1)
    ]


def _name_of(recipe: RecipeSource, number: int) -> str:
    """A recipe's file name without its ending, or its place among several."""
    return Path(recipe).stem if isinstance(recipe, str | Path) else str(number)


def _check_different(name: str, task: TrainingTask, others: Mapping[str, TrainingTask]) -> None:
    """Two runs that are the same would be one candidate twice."""
    if name in others:
        raise InvalidRequest(
            f"two candidates are called {name}; give the recipe files different names"
        )
    for other, there in others.items():
        # How a model is converted is no part of what it learned.
        if replace(there.recipe, calibration=task.recipe.calibration) == task.recipe:
            raise InvalidRequest(f"{other} and {name} would be trained by the same recipe")


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
    # Other programs have folders of that name, too.
    runs = (file for name in (RUN, UNFINISHED) for file in folder.glob(f"runs/*/{name}"))
    return any(runs) and not (folder / RUN).exists()
