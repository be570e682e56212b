"""What can be measured: a trained Keras model or a bundle, seen in the same way."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.statistics.operating_point import OperatingPoint


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model was measured; exactly one of ``run`` and ``bundle`` is not None.

    Attributes:
        run: name of the run's folder.
        bundle: name of the bundle.
        version: of the bundle.
        bundle_sha256: the bundle's digest.
        model_sha256: of the model's file, ``model.keras`` of a run. It stands beside the bundle's
            digest because adding a result to a bundle's card changes the latter.
        training_digest: of the training and validation images, see
            :func:`cxr_edge_train.dataset.metadata.dataset_digest`.
    """

    run: str | None
    bundle: str | None
    version: str | None
    bundle_sha256: str | None
    model_sha256: str
    training_digest: str


class Subject(Protocol):
    """A model with its frozen operating point.

    Attributes:
        identity: which model it is.
        run_folder: where its history lies, None for a bundle and for an imported model.
        preprocess: from grey pixels to its input.
        operating_point: its temperature and threshold.
        gives_maps: the model has the ``cam`` output.
    """

    identity: ModelIdentity
    run_folder: Path | None
    preprocess: PreprocessSpec
    operating_point: OperatingPoint
    gives_maps: bool

    def logits(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Logits ``[N]`` of N images, each preprocessed to ``[1, H, W, 1] uint8``."""
        ...

    def activation_maps(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The ``cam`` output ``[N, h, w]`` of ``images [N, H, W, 1] uint8``, where it has one."""
        ...
