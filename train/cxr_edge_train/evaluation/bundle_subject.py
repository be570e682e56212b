"""A bundle's model, measured in the engine that runs it on the device."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_runtime.activation_map import activation_map
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.reference import normal_map
from cxr_edge_runtime.classifier import Classifier
from cxr_edge_runtime.images import GreyImage
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_train.dataset.class_names import ClassNames
from cxr_edge_train.evaluation.subject import Answers, ModelIdentity
from cxr_edge_train.statistics.operating_point import OperatingPoint


class BundleSubject:
    """See :class:`cxr_edge_train.evaluation.subject.Subject`."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Load the bundle's model.

        Args:
            bundle: a loaded bundle.
            threads: number of threads of the engine.

        Raises:
            EngineError: the model or the lung locator cannot be loaded.
        """
        manifest = bundle.manifest
        self.identity = ModelIdentity(
            run=None,
            bundle=manifest.name,
            version=manifest.version,
            bundle_sha256=bundle.digest,
            model_sha256=manifest.files[manifest.model.file].sha256,
            training_digest=manifest.training.dataset_digest,
        )
        self.run_folder: Path | None = None
        self.prepare = Preprocessor.of(bundle, threads=threads)
        threshold = manifest.threshold
        self.operating_point = OperatingPoint(
            manifest.temperature,
            threshold.value,
            threshold.rule,
            threshold.chosen_on,
            manifest.bias,
            manifest.prevalence,
        )
        self.test_digest = ""  # no manifest has it
        [negative] = set(manifest.labels) - {manifest.positive_label}
        self.names = ClassNames(negative, manifest.positive_label)
        self.is_rejected = manifest.is_rejected
        self.gives_maps = "cam" in manifest.outputs
        self._normal_map = normal_map(bundle)
        self.site = manifest.site.name if manifest.site else ""
        self.own_films: pd.DataFrame | None = None
        self._classifier = Classifier(bundle, threads=threads)
        self._engine = self._classifier.engine

    def answers(self, films: Iterable[GreyImage]) -> Answers:
        """Classify each film as on the device; rejected ones are answered, too."""
        found = [self._classifier.classify(film, force=True, mapped=False) for film in films]
        distances = [answer.gate.distance for answer in found]
        return Answers(
            np.array([answer.logit for answer in found]),
            tuple(answer.gate.verdict for answer in found),
            np.array([math.nan if distance is None else distance for distance in distances]),
        )

    def logits(self, images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Compute logits ``[N]``, one image at a time, as on the device."""
        return np.array([float(self._engine.run(image)["logit"][0, 0]) for image in images])

    def activation_maps(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute activation maps ``[N, h, w]``, one image at a time."""
        maps = []
        for image in images:
            outputs = self._engine.run(image[np.newaxis])
            maps.append(
                activation_map(
                    outputs["cam"][0, :, :, 0],
                    logit=float(outputs["logit"][0, 0]),
                    threshold_logit=self.operating_point.threshold_logit,
                    normal=self._normal_map,
                )
            )
        return np.stack(maps)
