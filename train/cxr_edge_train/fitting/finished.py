"""Finished runs that are not trained again."""

from dataclasses import replace
from pathlib import Path

from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_train.fitting.task import TrainingTask
from cxr_edge_train.recipe import read_recipe
from cxr_edge_train.runs import read_run
from cxr_edge_train.statistics.operating_point import rule_of


def check_same(task: TrainingTask, folder: Path) -> None:
    """Check that a finished run is that of a task, so that it need not be trained again.

    Raises:
        InvalidRequest: it was trained from something else.
        RunError: it is damaged.
    """
    run, wanted = read_run(folder), task.fingerprint
    # How a model is converted is no part of what it learned. A run with keys of an earlier version
    # was trained by another recipe, so here they are not ignored.
    try:
        recorded = replace(read_recipe(folder / "recipe.toml"), calibration=task.recipe.calibration)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"{error}; if an earlier version made this run, choose another output"
        ) from error
    # Runs of before the digest was recorded are known by the name alone.
    sha256 = run.weights_sha256 or wanted.weights_sha256
    pairs = {
        "architecture": (run.architecture, wanted.architecture),
        "weights": ((run.weights, sha256), (wanted.weights, wanted.weights_sha256)),
        "seed": (run.seed, wanted.seed),
        "locator": (run.locator_sha256, wanted.locator_sha256),
        "dataset": (run.dataset_digest, wanted.dataset_digest),
        "recipe": (recorded, task.recipe),
        "lowest sensitivity": (run.operating_point.rule, rule_of(task.min_sensitivity)),
    }
    changed = [what for what, (there, expected) in pairs.items() if there != expected]
    if changed:
        raise InvalidRequest(
            f"{folder}: holds a finished run with another {', '.join(changed)}; choose another "
            "output, or remove the folder"
        )
