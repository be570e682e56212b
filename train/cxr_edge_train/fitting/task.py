"""What a run is trained from: put together once, then passed whole."""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import pandas as pd

from cxr_edge_runtime.errors import DatasetError
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.native_output import stderr_silenced
from cxr_edge_runtime.preprocess import LUNG_BOX_VERSION, WHOLE_FILM_VERSION, PreprocessSpec
from cxr_edge_train.architectures import build
from cxr_edge_train.dataset.class_names import class_names
from cxr_edge_train.dataset.drawing import MIN_PATIENTS
from cxr_edge_train.dataset.metadata import digest_of_test, without_test
from cxr_edge_train.dataset.patients import patient_groups
from cxr_edge_train.defaults import MIN_SENSITIVITY
from cxr_edge_train.fitting.fingerprint import RunFingerprint
from cxr_edge_train.locator_folder import LocatorFolder, preprocessor
from cxr_edge_train.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """What a run is trained from.

    Attributes:
        table: the training and validation images; no test image is among them.
        architecture: name of the architecture.
        weights: ``imagenet``, a file, or None for random weights.
        recipe: the recipe as it is carried out, see :func:`recipe_for`.
        seed: seed of the initial weights, the shuffling and the augmentation.
        root: folder that the paths in the table are relative to.
        min_sensitivity: the lowest sensitivity that the operating point may have on validation.
        fingerprint: by which an unfinished run of the same task is recognized.
        test_digest: digest of the test images, of which nothing else is used.
        locator: the lung locator, whose box the model is shown; None where it is the whole film.
    """

    table: pd.DataFrame
    architecture: str
    weights: str | None
    recipe: Recipe
    seed: int
    root: Path
    min_sensitivity: float
    fingerprint: RunFingerprint
    test_digest: str
    locator: LocatorFolder | None = None

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        *,
        architecture: str,
        weights: str | None,
        recipe: Recipe,
        seed: int,
        root: Path,
        min_sensitivity: float = MIN_SENSITIVITY,
        locator: LocatorFolder | None = None,
    ) -> "TrainingTask":
        """Put a task together.

        Args:
            table: the images with their splits; of test images the digest alone is kept.
            architecture: name of the architecture.
            weights: ``imagenet``, a file, or None for random weights.
            recipe: the recipe as the user wrote it.
            seed: seed of everything random.
            root: folder that the paths in the table are relative to.
            min_sensitivity: the lowest sensitivity that the operating point may have.
            locator: the lung locator; None where films are shown whole.
        """
        test_digest = digest_of_test(table)
        table, recipe = without_test(table), recipe_for(weights, recipe)
        fingerprint = RunFingerprint.of(
            table,
            architecture=architecture,
            weights=weights,
            recipe=recipe,
            seed=seed,
            locator=locator,
        )
        return cls(
            table,
            architecture,
            weights,
            recipe,
            seed,
            root,
            min_sensitivity,
            fingerprint,
            test_digest,
            locator,
        )

    def rows(self, split: str) -> pd.DataFrame:
        """The images of ``train`` or ``validation``."""
        return self.table[self.table["split"] == split]

    def preprocessor(self) -> Preprocessor:
        """From a film to model input.

        Raises:
            RunError: a file of the locator is missing or was changed.
            EngineError: the locator cannot be loaded.
        """
        version = LUNG_BOX_VERSION if self.locator else WHOLE_FILM_VERSION
        spec = PreprocessSpec.of_version(version, size=self.recipe.model.image_size)
        return preprocessor(spec, self.locator)

    def check_images(self) -> None:
        """Check that the images can be trained on; none of them is read.

        Raises:
            DatasetError: a split has too few patients of a label.
        """
        for split in ("train", "validation"):
            rows = self.rows(split)
            _check_patients(rows, split)

    def untrained_model(self) -> keras.Model:
        """Build the network as it is before the first step.

        Raises:
            InvalidRequest: the architecture is unknown, or the weights are missing or do not fit.
            WeightsUnavailable: the ImageNet weights cannot be downloaded or loaded.
        """
        # Keras seeds TensorFlow too where it is installed, and importing it makes it chatter.
        with stderr_silenced():
            keras.utils.set_random_seed(self.seed)
        return build(self.architecture, self.recipe.model, weights=self.weights)


def recipe_for(weights: str | None, recipe: Recipe) -> Recipe:
    """The recipe as it is carried out: a backbone with random weights is not frozen.

    Such a backbone holds nothing worth keeping, and a head on random features learns little.
    """
    if weights:
        return recipe
    return replace(recipe, fit=replace(recipe.fit, head_epochs=0))


def _check_patients(rows: pd.DataFrame, split: str) -> None:
    # Splits made by cxr-edge keep this; a file made by hand may not.
    patients = patient_groups(rows).groupby(rows["label"]).nunique()
    for label in class_names(rows):
        count = int(patients.get(label, 0))
        if count < MIN_PATIENTS:
            raise DatasetError(
                f"the {split} split has {count} {label} patients, at least {MIN_PATIENTS} are "
                "needed; make the splits again with cxr-edge split, or add images"
            )
