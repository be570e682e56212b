"""All that the weights of a fit depend on: by it an unfinished run is known again."""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import pandas as pd

from cxr_edge_runtime.files import file_sha256
from cxr_edge_train.dataset.metadata import dataset_digest, without_test
from cxr_edge_train.devices import policy
from cxr_edge_train.recipe import Recipe, recipe_as_toml


@dataclass(frozen=True, slots=True)
class RunFingerprint:
    """All that the weights depend on; a fit goes on only with the same.

    Attributes:
        architecture: name in the registry.
        weights: name of what the weights began as.
        weights_sha256: of their file, empty where they are no file.
        seed: of everything random.
        dataset_digest: of the training and validation images.
        recipe: TOML text, defaults included.
        backend: of Keras; the state of another has another form.
        precision: Keras' dtype policy; mixed precision has more state.
    """

    architecture: str
    weights: str
    weights_sha256: str
    seed: int
    dataset_digest: str
    recipe: str
    backend: str
    precision: str


def recipe_for(weights: str | None, recipe: Recipe) -> Recipe:
    """The recipe as it is carried out: of a backbone with random weights nothing is frozen.

    There is nothing in it to keep, and what lies on random features learns little.
    """
    if weights:
        return recipe
    return replace(recipe, fit=replace(recipe.fit, head_epochs=0, fine_tune_from=""))


def run_fingerprint(
    table: pd.DataFrame, *, architecture: str, weights: str | None, recipe: Recipe, seed: int
) -> RunFingerprint:
    """The settings of a fit; arguments as of :func:`cxr_edge_train.fitting.training.train_run`."""
    return RunFingerprint(
        architecture=architecture,
        weights=_weights_name(weights),
        weights_sha256=_weights_sha256(weights),
        seed=seed,
        dataset_digest=dataset_digest(without_test(table)),
        recipe=recipe_as_toml(recipe_for(weights, recipe)),
        backend=keras.backend.backend(),
        precision=policy(recipe.fit),
    )


def _weights_name(weights: str | None) -> str:
    return "none" if weights is None else Path(weights).name


def _weights_sha256(weights: str | None) -> str:
    if weights is None or not Path(weights).is_file():
        return ""
    return file_sha256(Path(weights))
