"""From an image to a prediction."""

import math
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cxr_edge_runtime.activation_map import activation_map
from cxr_edge_runtime.arguments import as_whole_number, check_flags
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import GATE_FILE, REFERENCE_FILE
from cxr_edge_runtime.engines import Engine, Outputs, open_engine
from cxr_edge_runtime.errors import BundleInvalid, EngineError, InvalidRequest
from cxr_edge_runtime.gate import REJECTED, Gate, Verdict, objections, unchecked
from cxr_edge_runtime.images import GreyImage, ImageSource, image_warnings, load_grey
from cxr_edge_runtime.locator import PreparedFilm, Preprocessor
from cxr_edge_runtime.preprocess import Box
from cxr_edge_runtime.probability import (
    at_prevalence,
    check_prevalence,
    probability_of,
    threshold_logit,
)

_REJECTED = "this model missed an accuracy limit when it was converted and was rejected"
# The AUC of guessing.
_CHANCE = 0.5
# No engine gains from more, and thousands end the process.
MAX_THREADS = 64


# eq=False: of two arrays, == is an array, not an answer.
@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the classifier says of one image.

    Attributes:
        label: one of the bundle's labels; None where the gate rejected the image.
        probability: of the positive label, 0 to 1; None where the gate rejected the image.
        threshold: the positive label is given at or above this probability.
        prevalence: the share of positive images that the probability and the threshold stand for;
            None where the bundle does not say.
        logit: the model's raw output.
        gate: whether the image is a usable frontal chest X-ray at all.
        activation_map: ``[h, w] float32``, what each part of the image adds to the decision,
            compared with normal films; its mean is at least 0 where the label is the positive one.
            See :func:`cxr_edge_runtime.activation_map.activation_map`. None where it was not asked
            for, or the model gives none.
        warnings: what is suspicious about the image, as text for the user.
        timings_ms: milliseconds of ``decode``, ``preprocess`` and ``invoke``.
        borderline: whether a change of the film's greys by one level of 256 could turn the answer,
            as of another decoder; None where the bundle does not say how much that changes.
        image_sha256: of the image's file, where it was asked for; see
            :class:`cxr_edge_runtime.images.GreyImage`.
        box: what the model looked at, the lungs with a margin; None where it was the whole image.
            The activation map is of this box.
    """

    label: str | None
    probability: float | None
    threshold: float
    prevalence: float | None
    logit: float
    gate: Verdict
    activation_map: NDArray[np.float32] | None
    warnings: tuple[str, ...]
    timings_ms: dict[str, float]
    borderline: bool | None = None
    image_sha256: str | None = None
    box: Box | None = None


class Classifier:
    """A bundle ready to classify; threads may share it, and classify one after the other."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        engine: str | None = None,
        prevalence: float | None = None,
    ) -> None:
        """Load the bundle's model.

        Args:
            bundle: a loaded bundle.
            threads: threads of the engine, 1 to :data:`MAX_THREADS`.
            engine: see :func:`cxr_edge_runtime.engines.open_engine`.
            prevalence: the share of positive images where the films come from. Probability and
                threshold are moved to it, see :func:`cxr_edge_runtime.probability.at_prevalence`;
                no decision changes. None leaves both as the bundle has them.

        Raises:
            InvalidRequest: no bundle, no such number of threads, no engine of that name, or a
                prevalence that cannot be.
            EngineError: the model or the lung locator cannot be loaded.
            BundleInvalid: the gate cannot be read.
        """
        if not isinstance(bundle, Bundle):
            raise InvalidRequest(
                f"a classifier needs a bundle, not {type(bundle).__name__}; load one with "
                "Bundle.load(folder)"
            )
        if prevalence is not None:
            check_prevalence(prevalence, bundle.manifest)
        self.bundle = bundle
        self.prevalence = prevalence
        n_threads = as_threads(threads)
        self.engine: Engine = open_engine(bundle, threads=n_threads, engine=engine)
        self._prepare = Preprocessor.of(bundle, threads=n_threads, engine=engine)
        limits = bundle.manifest.gate
        self._gate = Gate.from_bytes(bundle.read(GATE_FILE), limits) if limits else None

    def classify(
        self,
        image: ImageSource,
        *,
        name: str | None = None,
        force: bool = False,
        hashed: bool = False,
        mapped: bool = True,
    ) -> Prediction:
        """Classify one image.

        Args:
            image: the path of an image file, its bytes, a Pillow image, or grey pixels
                ``[H, W] uint8``; see :func:`cxr_edge_runtime.images.load_grey`. A large JPEG file
                is decoded at a reduced size where the model looks at a box of it, so that its
                probability differs a little from that of its pixels.
            name: what error messages call the image; by default its path.
            force: predict also where the gate rejects the image.
            hashed: give the SHA-256 of the image's file with the prediction.
            mapped: give the activation map with the prediction.

        Returns:
            The prediction, without label and probability where the gate rejected the image.

        Raises:
            InvalidRequest: ``force``, ``hashed`` or ``mapped`` is neither True nor False.
            ImageError: the image cannot be used; the subclass says why.
            EngineError: the engine failed or computed no number.
        """
        check_flags(force=force, hashed=hashed, mapped=mapped)
        least_side = self._prepare.least_side
        film = load_grey(image, name=name, hashed=hashed, least_side=least_side)
        manifest = self.bundle.manifest
        started = time.perf_counter()
        prepared = self._prepare(film.pixels)
        ready = time.perf_counter()
        outputs = self.engine.run(prepared.model_input)
        invoked = time.perf_counter()
        logit = float(outputs["logit"][0, 0])
        for output, values in outputs.items():
            # A NaN would pass every limit of the gate.
            if not np.isfinite(values).all():
                raise EngineError(f"{self.engine.name} computed no finite number for the {output}")

        probability, threshold = probability_of(logit, manifest), manifest.threshold.value
        negative = next(name for name in manifest.labels if name != manifest.positive_label)
        is_positive = probability >= threshold
        probability, threshold = self._moved(probability), self._moved(threshold)
        # Rounding may have changed which one is larger.
        probability = (
            max(probability, threshold)
            if is_positive
            else min(probability, math.nextafter(threshold, -1))
        )
        gate = self._judge(film, prepared, outputs)
        predicted = force or gate.verdict != REJECTED
        return Prediction(
            label=(manifest.positive_label if is_positive else negative) if predicted else None,
            probability=probability if predicted else None,
            threshold=threshold,
            prevalence=manifest.prevalence if self.prevalence is None else self.prevalence,
            logit=logit,
            gate=gate,
            activation_map=self._map(outputs, logit) if mapped and "cam" in outputs else None,
            warnings=(*self._model_warnings, *film.warnings, *image_warnings(film.pixels)),
            timings_ms={
                "decode": film.decode_ms,
                "preprocess": (ready - started) * 1000,
                "invoke": (invoked - ready) * 1000,
            },
            borderline=self._is_borderline(logit, prepared, gate, predicted=predicted),
            image_sha256=film.sha256,
            box=prepared.box,
        )

    def read_all(self) -> "Classifier":
        """Read what is else read when it is needed first, so that the bundle's folder may go.

        Returns:
            This classifier.

        Raises:
            BundleInvalid: the bundle is damaged.
        """
        _ = self._normal_map
        return self

    @cached_property
    def _normal_map(self) -> NDArray[np.float32] | None:
        # Only for maps: reading it takes as long as the gate.
        from cxr_edge_runtime.bundle.reference import normal_map

        return normal_map(self.bundle)

    def _map(self, outputs: Outputs, logit: float) -> NDArray[np.float32]:
        cam, normal = outputs["cam"][0, :, :, 0], self._normal_map
        if normal is not None and normal.shape != cam.shape:
            raise BundleInvalid(
                f"{REFERENCE_FILE}: its map has shape {normal.shape}, the model's has {cam.shape}"
            )
        threshold = threshold_logit(self.bundle.manifest)
        return activation_map(cam, logit=logit, threshold_logit=threshold, normal=normal)

    def _moved(self, probability: float) -> float:
        """A probability of the bundle at the prevalence that was asked for."""
        stated = self.bundle.manifest.prevalence
        if self.prevalence is None or stated is None:
            return probability
        return at_prevalence(probability, stated=stated, wanted=self.prevalence)

    @property
    def _model_warnings(self) -> tuple[str, ...]:
        manifest = self.bundle.manifest
        warnings: tuple[str, ...] = (_REJECTED,) if manifest.is_rejected else ()
        for split, metrics in manifest.metrics.items():
            auc = metrics.get("auc")
            if auc is not None and auc.low <= _CHANCE:
                how = (
                    "worse than chance" if auc.high < _CHANCE else "not clearly better than chance"
                )
                warnings += (f"on {split} this model was {how} (AUC {auc})",)
        return warnings

    def _is_borderline(
        self, logit: float, prepared: PreparedFilm, gate: Verdict, *, predicted: bool
    ) -> bool | None:
        manifest = self.bundle.manifest
        change, limits = manifest.one_level, manifest.gate
        if change is None:
            return None
        if prepared.is_unsure and (predicted or prepared.objections):
            return True
        if predicted and abs(logit - threshold_logit(manifest)) <= change.logit:
            return True
        if limits is None or gate.distance is None or change.distance is None:
            return False
        if gate.from_turning <= change.distance:
            return True
        # What was rejected for another reason than the distance stays rejected, and where lungs
        # were found the distance rejects nothing.
        could_turn = prepared.box is None and (gate.verdict != REJECTED or gate.by_distance)
        return could_turn and abs(gate.distance - limits.rejected) <= change.distance

    def _judge(self, film: GreyImage, prepared: PreparedFilm, outputs: Outputs) -> Verdict:
        doubts = (*self._doubts(film), *prepared.doubts)
        if self._gate is None:
            return unchecked(prepared.objections, doubts)
        return self._gate.judge(
            (*objections(film), *prepared.objections),
            doubts,
            prepared.model_input,
            outputs["embedding"],
            embed=lambda other: self.engine.run(other)["embedding"],
            has_lungs=prepared.box is not None,
        )

    def _doubts(self, film: GreyImage) -> tuple[str, ...]:
        """What the file says of its film that the model does not know."""
        ages, age = self.bundle.manifest.ages, film.age
        if ages is None or age is None or ages.youngest <= age < ages.oldest + 1:
            return ()
        # The age itself is the patient's.
        return (f"the age in the DICOM file is outside the range the model was made with ({ages})",)


def as_threads(threads: object) -> int:
    """Check a number of threads.

    Raises:
        InvalidRequest: it is not a whole number from 1 to :data:`MAX_THREADS`.
    """
    return as_whole_number(threads, "threads", maximum=MAX_THREADS)
