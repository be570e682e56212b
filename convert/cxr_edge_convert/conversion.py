"""From a float model to verified bundles: the order in which the pieces are called."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxr_edge_convert.artifacts.builder import ArtifactBuilder, BundleArtifacts
from cxr_edge_convert.formats.graph import Ranges
from cxr_edge_convert.formats.models import float32_model, smaller_model
from cxr_edge_convert.limits import MAX_GRAPH_DIFFERENCE
from cxr_edge_convert.quantization.accuracy_control import MixedPrecisionResult, control_accuracy
from cxr_edge_convert.quantization.calibration_images import CalibrationSet, calibration_sets
from cxr_edge_convert.quantization.quantizer import COMPARED, Quantizer
from cxr_edge_convert.quantization.stability import Stability, stability
from cxr_edge_convert.quantization.tensor_errors import TensorError
from cxr_edge_convert.refitting import Refit, refit, refit_failures
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import FLOAT32, INT8, Scheme
from cxr_edge_convert.verification import Verification, engine_outputs, verify
from cxr_edge_runtime.bundle.manifest import Calibration, InputEntry
from cxr_edge_runtime.engines import Engine, Outputs, open_model
from cxr_edge_train.progress import ProgressFactory, no_progress
from cxr_edge_train.recipe import Calibration as Method


@dataclass(frozen=True, slots=True)
class Variant:
    """A converted model and what became of it.

    Attributes:
        scheme: what kind it is.
        model: bytes of its file.
        logits: ``[N]`` on validation.
        embeddings: ``[N, C]`` on validation, where the model gives them.
        verification: against Keras.
        refit: its own operating point, where asked for.
        calibration: of an INT8 model.
        stability: of the calibration, where there were images for a second one.
        errors: of the tensors of an INT8 model.
        controlled: how an INT8 model with blocks in float came about.
        artifacts: what its bundle carries beside the model.
    """

    scheme: Scheme
    model: bytes
    logits: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    verification: Verification
    refit: Refit | None = None
    calibration: Calibration | None = None
    stability: Stability | None = None
    errors: tuple[TensorError, ...] = ()
    controlled: MixedPrecisionResult | None = None
    artifacts: BundleArtifacts | None = None


def make_variants(
    source: Source, settings: ConversionSettings, *, progress: ProgressFactory = no_progress
) -> list[Variant]:
    """Make and verify every variant.

    Args:
        source: the float model.
        settings: what to make.
        progress: shows how far each stage has come.

    Returns:
        In the order of the schemes; a model of accuracy control follows the one that fell short.

    Raises:
        InvalidRequest: too few calibration images, or some that belong to validation.
        ConversionError: a format cannot express the model.
        DatasetError: a calibration image changed since it was cleaned.
    """
    quantized = any(scheme.quantization == INT8 for scheme in settings.schemes)
    draws = (
        calibration_sets(
            source,
            settings.calibration_dir,
            count=settings.calibration_images,
            seed=settings.seed,
        )
        if quantized
        else []
    )
    builder = ArtifactBuilder.of(source, not_films=settings.not_films, seed=settings.seed)
    variants: list[Variant] = []
    for format in dict.fromkeys(scheme.format for scheme in settings.schemes):
        float32_bytes = float32_model(source.model, format)
        work = _Work(source, settings, float32_bytes, draws, progress, settings.accuracy_control)
        first, *rest = (scheme for scheme in settings.schemes if scheme.format == format)
        [float32] = work.variants(first)
        if not float32.verification.passed:
            # What float32 falls short of, no block in float will cure.
            work = replace(work, accuracy_control=False)
        others = [variant for scheme in rest for variant in work.variants(scheme)]
        if float32.verification.max_logit_difference >= MAX_GRAPH_DIFFERENCE:
            others = [_of_wrong_graph(variant, float32) for variant in others]
        variants += [float32, *others]
    if builder is None:
        return variants
    watched = progress("input gates")(variants, len(variants))
    return [_with_artifacts(variant, builder) for variant in watched]


@dataclass(frozen=True, slots=True)
class _Work:
    """What the variants of one format share."""

    source: Source
    settings: ConversionSettings
    float32: bytes
    draws: list[CalibrationSet]
    progress: ProgressFactory
    accuracy_control: bool

    def variants(self, scheme: Scheme) -> list[Variant]:
        if scheme.quantization == FLOAT32:
            return [self._verified(scheme, self.float32)]
        if scheme.quantization != INT8:
            return [self._verified(scheme, smaller_model(self.float32, scheme))]
        return self._int8(scheme)

    def _int8(self, scheme: Scheme) -> list[Variant]:
        quantizer = Quantizer.of(self.float32, scheme)
        watched = self._progress(scheme)("calibrating")(self.draws, len(self.draws))
        (ranges, model), *others = (self._calibrated(quantizer, draw) for draw in watched)
        [draw, *other_draws] = self.draws
        int8 = replace(
            self._verified(scheme, model),
            calibration=Calibration(
                count=len(draw.pixels),
                method=self._method_in_words(),
                seed=self.settings.seed,
                digest=draw.digest,
            ),
            errors=quantizer.errors(model, draw.pixels),
        )
        if others:
            [(other_ranges, other_model)] = others
            compared = stability(
                self.source.validation,
                (ranges, int8.logits),
                (other_ranges, _logits(self._outputs(scheme, other_model))),
                images=len(other_draws[0].pixels),
                limits=self.settings.limits,
            )
            int8 = replace(int8, stability=compared)
        if int8.verification.passed or not self.accuracy_control or not quantizer.blocks:
            return [int8]
        return [int8, self._controlled(int8, quantizer, ranges)]

    @property
    def _method(self) -> Method:
        return self.settings.method or self.source.calibration

    def _method_in_words(self) -> str:
        method, folder = self._method, self.settings.calibration_dir
        images = len(self.draws[0].pixels)
        ranges = f"percentile {method.percentile:g}" if method.method == "percentile" else "min-max"
        origin = "training images" if folder is None else "images of a folder"
        return f"{ranges} over all {origin}, biases corrected over {min(images, COMPARED)} of them"

    def _calibrated(self, quantizer: Quantizer, draw: CalibrationSet) -> tuple[Ranges, bytes]:
        ranges = quantizer.ranges(draw.pixels, self._method)
        return ranges, quantizer.model(ranges, draw.pixels)

    def _controlled(self, short: Variant, quantizer: Quantizer, ranges: Ranges) -> Variant:
        scheme = replace(short.scheme, name=f"{short.scheme.name}-mixed")
        pixels = self.draws[0].pixels
        mixed, controlled = control_accuracy(
            quantizer.blocks,
            short.errors,
            # Corrected anew each time: what was found behind a broken block is wrong without it.
            lambda names: self._verified(scheme, quantizer.model(ranges, pixels, names)),
            self._progress(scheme),
        )
        return replace(
            mixed,
            calibration=short.calibration,
            errors=quantizer.errors(mixed.model, pixels),
            controlled=controlled,
        )

    def _verified(self, scheme: Scheme, model: bytes) -> Variant:
        outputs = self._outputs(scheme, model)
        logits, embeddings = _logits(outputs), outputs.get("embedding")
        reference, floor = self.source.validation, self.settings.refit_sensitivity
        verification = verify(
            reference,
            logits,
            self.settings.limits,
            same_computation=scheme.quantization == FLOAT32,
        )
        if floor is None:
            return Variant(scheme, model, logits, embeddings, verification)
        own = refit(reference, logits, min_sensitivity=floor)
        failures = refit_failures(reference, own, self.settings.limits)
        verification = replace(verification, failures=(*verification.failures, *failures))
        return Variant(scheme, model, logits, embeddings, verification, own)

    def _outputs(self, scheme: Scheme, model: bytes) -> Outputs:
        engine = _engine(self.source, scheme, model)
        return engine_outputs(engine, self.source.validation_pixels, self._progress(scheme))

    def _progress(self, scheme: Scheme) -> ProgressFactory:
        return lambda stage: self.progress(f"{scheme.name}: {stage}")


def _engine(source: Source, scheme: Scheme, model: bytes) -> Engine:
    spec = source.images.preprocess
    entry = InputEntry.of_contract(scheme.format, scheme.quantization, spec)
    return open_model(model, scheme.format, entry, source.outputs)


def _logits(outputs: Outputs) -> NDArray[np.float64]:
    return outputs["logit"][:, 0].astype(np.float64)


def _with_artifacts(variant: Variant, builder: ArtifactBuilder) -> Variant:
    source, own = builder.source, variant.refit
    artifacts = builder.build(
        _engine(source, variant.scheme, variant.model),
        variant.logits,
        variant.embeddings,
        temperature=own.temperature if own else source.validation.temperature,
        threshold=own.threshold if own else source.validation.threshold,
    )
    return replace(variant, artifacts=artifacts)


def _of_wrong_graph(variant: Variant, float32: Variant) -> Variant:
    reason = (
        f"made from {float32.scheme.name}, whose graph does not compute what Keras does; what it "
        "loses is not the quantization's"
    )
    verification = variant.verification
    return replace(
        variant,
        verification=replace(verification, failures=(reason, *verification.failures)),
    )
