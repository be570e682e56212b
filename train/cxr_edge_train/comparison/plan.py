"""What a comparison has to train: checked as a whole before the first image is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.architectures import ARCHITECTURES, build
from cxr_edge_train.fitting.fingerprint import recipe_for, run_fingerprint
from cxr_edge_train.recipe import Recipe, read_recipe
from cxr_edge_train.runs import RUN, read_run


@dataclass(frozen=True, slots=True)
class Task:
    """One architecture of a comparison.

    Attributes:
        architecture: name in the registry.
        weights: ``imagenet``, a file, or None for random ones.
        recipe: as it is carried out.
        folder: of the run.
        finished: the run is there already.
        parameters: number of them in the network.
    """

    architecture: str
    weights: str | None
    recipe: Recipe
    folder: Path
    finished: bool
    parameters: int


def plan(
    table: pd.DataFrame,
    architectures: Sequence[str],
    *,
    weights: Sequence[str],
    recipes: Sequence[str],
    seed: int,
    output: Path,
) -> list[Task]:
    """Check names, recipes, weights and runs that are there already.

    Args:
        table: images with splits.
        architectures: names, in the order they are trained and shown.
        weights: ``NAME=VALUE`` for one architecture, ``VALUE`` for all others.
        recipes: ``NAME=FILE`` for one architecture, ``FILE`` for all others.
        seed: of all runs.
        output: folder of the comparison; runs lie in ``runs/NAME``.

    Raises:
        InvalidRequest: an unknown or repeated name, weights that do not fit, or a finished run of
            other settings.
    """
    if len(set(architectures)) < len(architectures):
        raise InvalidRequest("--architectures: a name is given twice")
    # What is said for all others is not meant for these.
    from_scratch = [name for name, known in ARCHITECTURES.items() if not known.pretrained]
    weights = [*(f"{name}=none" for name in from_scratch if name in architectures), *weights]
    weights_of = _by_name(weights, architectures, option="--weights", default="imagenet")
    _check_output(output)
    recipe_of = _by_name(recipes, architectures, option="--recipe", default="")
    tasks = []
    for name in architectures:
        start = None if weights_of[name] == "none" else weights_of[name]
        chosen = read_recipe(Path(recipe_of[name])) if recipe_of[name] else Recipe()
        # Finds unknown names and weights that do not fit, before hours of training.
        parameters = int(build(name, chosen.model, weights=start).count_params())
        folder = output / "runs" / name
        finished = (folder / RUN).exists()
        if finished:
            _check_same(table, name, start, chosen, seed, folder)
        tasks.append(Task(name, start, recipe_for(start, chosen), folder, finished, parameters))
    return tasks


def _by_name(
    given: Sequence[str], architectures: Sequence[str], *, option: str, default: str
) -> dict[str, str]:
    values = dict.fromkeys(architectures, default)
    # Whatever has no known name before its first "=" is for all others; a path may have one, too.
    named = [(head, tail) for head, _, tail in (g.partition("=") for g in given)]
    for text, (head, tail) in zip(given, named):
        if not (tail and head in ARCHITECTURES):
            values = dict.fromkeys(architectures, text)
    for head, tail in named:
        if tail and head in ARCHITECTURES:
            if head not in values:
                raise InvalidRequest(f"{option} {head}=: {head} is not among --architectures")
            values[head] = tail
    return values


def _check_output(output: Path) -> None:
    """Only a folder of an earlier comparison may hold anything."""
    there = {path.name for path in output.iterdir()} if output.is_dir() else set()
    if RUN in there or (there and "runs" not in there):
        raise InvalidRequest(
            f"{output}: holds files that are no comparison, for example {min(there)}; choose "
            "another --output"
        )


def _check_same(
    table: pd.DataFrame,
    name: str,
    weights: str | None,
    recipe: Recipe,
    seed: int,
    folder: Path,
) -> None:
    settings = run_fingerprint(table, architecture=name, weights=weights, recipe=recipe, seed=seed)
    run = read_run(folder)
    # How a model is converted is no part of what it learned.
    recorded = replace(read_recipe(folder / "recipe.toml"), calibration=recipe.calibration)
    # Runs of before the digest was recorded are known by the name alone.
    known = run.weights_sha256 or settings.weights_sha256
    pairs = {
        "architecture": (run.architecture, settings.architecture),
        "weights": ((run.weights, known), (settings.weights, settings.weights_sha256)),
        "seed": (run.seed, settings.seed),
        "dataset": (run.dataset_digest, settings.dataset_digest),
        "recipe": (recorded, recipe_for(weights, recipe)),
    }
    changed = [what for what, (there, wanted) in pairs.items() if there != wanted]
    if changed:
        raise InvalidRequest(
            f"{folder}: holds a finished run with another {', '.join(changed)}; choose another "
            "--output, or remove the folder"
        )
