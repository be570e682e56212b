"""What a bundle carries beside its model.

The input gate, the inputs that test a device, and the predictions on validation images.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.drawings import drawings
from cxr_edge_convert.artifacts.gate_fitting import (
    FILMS,
    GateCounts,
    Remarks,
    augmented_films,
    film_gate,
    verdicts,
    with_limits,
)
from cxr_edge_convert.artifacts.golden_films import golden_films, label_means
from cxr_edge_convert.artifacts.lungs import LungCounts, remarks_on_validation
from cxr_edge_convert.artifacts.one_level import one_level, some_of
from cxr_edge_convert.artifacts.out_of_distribution import (
    OutOfDistributionImages,
    read_out_of_distribution,
)
from cxr_edge_convert.sources import Source
from cxr_edge_runtime.bundle.manifest import (
    GATE_FILE,
    REFERENCE_FILE,
    SELFTEST_FILE,
    OneLevel,
)
from cxr_edge_runtime.bundle.reference import PredictionDistribution, VerifiedPredictions
from cxr_edge_runtime.device.selftest import GoldenFilms
from cxr_edge_runtime.engines import Engine
from cxr_edge_runtime.errors import ConversionError
from cxr_edge_runtime.gate import REJECTED, Gate
from cxr_edge_runtime.locator import Preprocessor
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.dataset.class_names import positives
from cxr_edge_train.dataset.sampling import spread_over_patients
from cxr_edge_train.statistics.operating_point import OperatingPoint


@dataclass(frozen=True, slots=True)
class BundleArtifacts:
    """What a variant's bundle carries beside its model.

    Attributes:
        golden: the films that a device is tested with.
        reference: the predictions on validation images, which a log of predictions is compared
            with.
        one_level: how much an answer depends on one level of grey.
        gate: the input gate; None where the model gives no embedding.
        gate_counts: how many images the gate rejects.
        without_lungs: in how many images there are no lungs; None where films are shown whole.
    """

    golden: GoldenFilms
    reference: VerifiedPredictions
    one_level: OneLevel
    gate: Gate | None = None
    gate_counts: GateCounts | None = None
    without_lungs: LungCounts | None = None

    @property
    def files(self) -> dict[str, bytes]:
        """The bytes of the files by their names."""
        files = {
            SELFTEST_FILE: self.golden.to_bytes(),
            REFERENCE_FILE: self.reference.to_bytes(),
        }
        return files | ({GATE_FILE: self.gate.to_bytes()} if self.gate else {})


@dataclass(frozen=True, slots=True)
class ArtifactBuilder:
    """Builds what the bundles of all variants of a source carry beside their models.

    Attributes:
        source: the float model.
        means: the mean training film of each label, see :func:`.golden_films.label_means`; of whole
            films, so that a lung locator has lungs to find.
        gate: the gate that knows where films lie; None where the model gives no embedding.
        augmented: other training films than those the gate learned from, made to look different.
            They set its limit.
        out_of_distribution: images that are not chest X-rays, the user's or drawings.
        remarks: what the lung locator says of each validation film; None where there is none.
    """

    source: Source
    means: NDArray[np.float64]
    gate: Gate | None
    augmented: NDArray[np.uint8]
    out_of_distribution: OutOfDistributionImages
    remarks: list[Remarks] | None = None

    @classmethod
    def of(cls, source: Source, *, not_films: Path | None, seed: int) -> "ArtifactBuilder | None":
        """Read and learn what all variants share; None without training films of both labels.

        Args:
            source: the float model.
            not_films: a folder with images that are not chest X-rays; None for drawings.
            seed: the seed of the choice of training films and of their augmentation.

        Raises:
            InvalidRequest: ``not_films`` holds too little.
            DatasetError: a training image changed since it was cleaned.
        """
        images, located = source.images, source.locator is not None
        out_of_distribution = (
            read_out_of_distribution(not_films, images.prepare)
            if not_films
            else drawings(images.prepare)
        )
        if len(set(source.train["label"])) < 2:
            return None  # an imported model may be measured on images of which none trains
        drawn = spread_over_patients(source.train, seed=seed).head(2 * FILMS)
        films = images.pixels(drawn)
        # Of the default size whatever the model's, since the locator takes its own.
        whole = replace(images, prepare=Preprocessor(PreprocessSpec())) if located else images
        # In turn, so that both halves have films of all patients there are enough films of.
        learned, others = films[::2], films[1::2]
        return cls(
            source,
            label_means(whole.pixels(drawn), positives(drawn)),
            film_gate(source.model, learned, augmented_films(learned, seed=seed))
            if "embedding" in source.outputs
            else None,
            augmented_films(others, seed=seed + 1),
            out_of_distribution,
            remarks_on_validation(source),
        )

    def build(
        self,
        engine: Engine,
        logits: NDArray[np.float64],
        embeddings: NDArray[np.float32] | None,
        operating_point: OperatingPoint,
        prepare: Preprocessor,
    ) -> BundleArtifacts:
        """Build what one variant's bundle carries beside its model.

        Args:
            engine: the variant.
            logits: ``[N]`` it gives for validation images.
            embeddings: ``[N, C]`` it gives for validation images, where it gives any.
            operating_point: the temperature, the bias and the threshold of its bundle.
            prepare: from a film to model input, as in its bundle.

        Raises:
            ConversionError: every validation film of a label is rejected.
            EngineError: the engine failed.
        """
        predicted = operating_point.probabilities(logits)
        films, others = self.source.validation_pixels, self.out_of_distribution
        without_lungs = LungCounts.of(self.remarks, others) if self.remarks else None
        if self.gate is None or embeddings is None:
            remarks = self.remarks or [((), ())] * len(films)
            refused = np.array([bool(objections) for objections, _ in remarks])
            return BundleArtifacts(
                golden_films(engine, self.means, operating_point, None, self.source.names, prepare),
                self._reference(engine, predicted, None, refused),
                one_level(engine, None, self._some_films(), prepare),
                without_lungs=without_lungs,
            )
        gate, counts = with_limits(
            self.gate,
            engine,
            validation=(films, embeddings),
            augmented=self.augmented,
            out_of_distribution=others,
            remarks=self.remarks,
        )
        located = self.remarks is not None
        judged = verdicts(gate, engine, films, embeddings, self.remarks, located=located)
        rejected = np.array(judged) == REJECTED
        return BundleArtifacts(
            golden_films(engine, self.means, operating_point, gate, self.source.names, prepare),
            self._reference(engine, predicted, gate.distance(embeddings), rejected),
            one_level(engine, gate, self._some_films(), prepare),
            gate,
            counts,
            without_lungs,
        )

    def _some_films(self) -> Iterable[NDArray[np.uint8]]:
        """The validation films whose greys are changed: whole ones for a lung locator."""
        films = self.source.validation_pixels
        some = some_of(len(films))
        if self.source.locator is None:
            return films[some, :, :, 0]
        return self.source.images.films(self.source.validation.table[some])

    def _reference(
        self,
        engine: Engine,
        predicted: NDArray[np.float64],
        distances: NDArray[np.float32] | None,
        rejected: NDArray[np.bool_],
    ) -> VerifiedPredictions:
        has_finding = positives(self.source.validation.table) == 1
        for label, of_label in zip(self.source.names, (~has_finding, has_finding)):
            if rejected[of_label].all():
                raise ConversionError(
                    f"the lung locator or the input gate rejects all {of_label.sum()} validation "
                    f"films labelled {label}; check that they are chest X-rays, and that the "
                    "lung locator was trained on similar films"
                )
        nothing = np.empty(0)
        negative, positive = (
            PredictionDistribution.of(
                predicted[of_label],
                nothing if distances is None else distances[of_label],
                rejected[of_label],
            )
            for of_label in (~has_finding, has_finding)
        )
        normal = self.source.validation_pixels[~has_finding]
        has_map = "cam" in self.source.outputs and len(normal)
        return VerifiedPredictions(
            negative, positive, _mean_map(engine, normal) if has_map else None
        )


def _mean_map(engine: Engine, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean of the output ``cam`` over films ``[N, H, W, 1] uint8``."""
    total = sum(
        engine.run(film[np.newaxis])["cam"][0, :, :, 0].astype(np.float64) for film in films
    )
    return np.asarray(total / len(films), dtype=np.float32)
