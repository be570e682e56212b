"""Everything that a fit's weights depend on; an unfinished run is recognized by it."""

from dataclasses import dataclass
from pathlib import Path

import keras
import pandas as pd

from cxr_edge_runtime.files import file_sha256
from cxr_edge_train.backend.devices import policy
from cxr_edge_train.dataset.metadata import dataset_digest, without_test
from cxr_edge_train.locator_folder import LocatorFolder
from cxr_edge_train.recipe import Recipe, recipe_as_toml


@dataclass(frozen=True, slots=True)
class RunFingerprint:
    """Everything that the weights depend on; only a fit with the same fingerprint is resumed.

    Attributes:
        architecture: its name among the known architectures.
        weights: name of the weights that the fit starts from.
        weights_sha256: SHA-256 of their file; empty where they are not a file.
        seed: seed of everything random.
        dataset_digest: digest of the training and validation images.
        recipe: the recipe as TOML, with all defaults.
        backend: Keras' backend; the optimizer's state has another form in another one.
        precision: Keras' dtype policy; mixed precision has more state.
        locator_sha256: SHA-256 of the lung locator's record; empty where films are shown whole.
    """

    architecture: str
    weights: str
    weights_sha256: str
    seed: int
    dataset_digest: str
    recipe: str
    backend: str
    precision: str
    locator_sha256: str = ""

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        *,
        architecture: str,
        weights: str | None,
        recipe: Recipe,
        seed: int,
        locator: LocatorFolder | None = None,
    ) -> "RunFingerprint":
        """The fingerprint of a fit.

        Args:
            table: the images with their splits; test images do not count.
            architecture: name of the architecture.
            weights: ``imagenet``, a file, or None for random weights.
            recipe: the recipe as it is carried out.
            seed: seed of everything random.
            locator: the lung locator; None where films are shown whole.
        """
        return cls(
            architecture=architecture,
            weights="none" if weights is None else Path(weights).name,
            weights_sha256=_sha256(weights),
            seed=seed,
            dataset_digest=dataset_digest(without_test(table)),
            recipe=recipe_as_toml(recipe),
            backend=keras.backend.backend(),
            precision=policy(recipe.fit),
            locator_sha256=locator.sha256 if locator else "",
        )


def _sha256(weights: str | None) -> str:
    if weights is None or not Path(weights).is_file():
        return ""
    return file_sha256(Path(weights))
