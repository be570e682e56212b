"""From a float model to verified bundles: the order in which the pieces are called."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnxruntime
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
from cxr_edge_convert.variants import FLOAT32, INT8, MIXED_SUFFIX, ONNX, Scheme
from cxr_edge_convert.verification import Verification, engine_outputs, verify
from cxr_edge_runtime.bundle.manifest import Calibration, InputEntry
from cxr_edge_runtime.engines import Engine, Outputs, open_model
from cxr_edge_runtime.engines.onnx import OnnxEngine
from cxr_edge_train.progress import ProgressFactory, as_stage, no_progress
from cxr_edge_train.recipe import Calibration as Method
from cxr_edge_train.statistics.soundness import soundness_warnings


@dataclass(frozen=True, slots=True)
class Variant:
    """A converted and verified model.

    Attributes:
        scheme: what kind of model it is.
        model: the bytes of its file.
        logits: ``[N]`` on validation.
        embeddings: ``[N, C]`` on validation, where the model gives them.
        verification: the comparison with Keras.
        default_session: the same of an ONNX INT8 model in a session of ONNX Runtime with its
            default options, in which others run it; None for other models.
        refit: its own operating point, where one was asked for.
        calibration: the images that set the ranges of an INT8 model.
        stability: what other calibration images would change, where there were enough of them.
        tensor_errors: how far the tensors of an INT8 model are from float.
        mixed_precision: which blocks of an INT8 model were kept in float.
        artifacts: what its bundle carries beside the model.
    """

    scheme: Scheme
    model: bytes
    logits: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    verification: Verification
    default_session: Verification | None = None
    refit: Refit | None = None
    calibration: Calibration | None = None
    stability: Stability | None = None
    tensor_errors: tuple[TensorError, ...] = ()
    mixed_precision: MixedPrecisionResult | None = None
    artifacts: BundleArtifacts | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know of the variant, one sentence each."""
        gate = self.artifacts.gate_counts if self.artifacts else None
        unstable = self.stability.warning if self.stability else ""
        return (
            *self.verification.warnings,
            *((unstable,) if unstable else ()),
            *(gate.warnings if gate else ()),
        )


def make_variants(
    source: Source, settings: ConversionSettings, *, progress: ProgressFactory = no_progress
) -> list[Variant]:
    """Make and verify every variant.

    Args:
        source: the float model.
        settings: what to make.
        progress: shows how far each stage has come.

    Returns:
        The variants in the order of the schemes. One with blocks in float follows the one that
        missed a limit.

    Raises:
        InvalidRequest: too few calibration images, or some that belong to validation.
        ConversionError: a format cannot express the model.
        DatasetError: a calibration image changed since it was cleaned.
    """
    quantized = any(scheme.quantization == INT8 for scheme in settings.schemes)
    chosen = (
        calibration_sets(
            source,
            settings.calibration_dir,
            count=settings.calibration_images,
            seed=settings.seed,
        )
        if quantized
        else []
    )
    builder = as_stage(
        progress,
        "building the input gate",
        lambda: ArtifactBuilder.of(source, not_films=settings.not_films, seed=settings.seed),
    )
    variants: list[Variant] = []
    for format in dict.fromkeys(scheme.format for scheme in settings.schemes):
        first, *rest = (scheme for scheme in settings.schemes if scheme.format == format)
        float32_bytes = as_stage(
            progress, f"converting {first.name}", partial(float32_model, source.model, format)
        )
        work = _Work(source, settings, float32_bytes, chosen, progress, settings.accuracy_control)
        [float32] = work.variants(first)
        if not float32.verification.passed:
            # Blocks in float cannot help where float32 itself misses a limit.
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
    calibration_sets: list[CalibrationSet]
    progress: ProgressFactory
    accuracy_control: bool

    def variants(self, scheme: Scheme) -> list[Variant]:
        if scheme.quantization == FLOAT32:
            return [self._verified(scheme, self.float32)]
        if scheme.quantization != INT8:
            smaller = as_stage(
                self._progress(scheme), "quantizing", lambda: smaller_model(self.float32, scheme)
            )
            return [self._verified(scheme, smaller)]
        return self._int8(scheme)

    def _int8(self, scheme: Scheme) -> list[Variant]:
        quantizer = Quantizer.of(self.float32, scheme)
        progress = self._progress(scheme)
        (ranges, model), *others = (
            self._calibrated(quantizer, images, progress if first else _again(progress))
            for first, images in zip([True, False], self.calibration_sets)
        )
        [calibration_set, *other_sets] = self.calibration_sets
        int8 = replace(
            self._verified(scheme, model),
            calibration=Calibration(
                count=len(calibration_set.pixels),
                method=self._method_in_words(),
                seed=self.settings.seed,
                digest=calibration_set.digest,
            ),
            tensor_errors=as_stage(
                progress,
                "comparing tensors",
                lambda: quantizer.errors(model, calibration_set.pixels),
            ),
        )
        if others:
            [(other_ranges, other_model)] = others
            [other_set] = other_sets
            outputs = self._outputs(scheme, other_model, _again(progress))
            compared = stability(
                self.source.validation,
                (ranges, int8.logits),
                (other_ranges, _logits(outputs)),
                images=len(other_set.pixels),
                limits=self.settings.limits,
            )
            int8 = replace(int8, stability=compared)
        if int8.verification.passed or not self.accuracy_control or not quantizer.blocks:
            return [int8]
        return [int8, self._mixed(int8, quantizer, ranges)]

    @property
    def _method(self) -> Method:
        return self.settings.method or self.source.calibration

    def _method_in_words(self) -> str:
        method, folder = self._method, self.settings.calibration_dir
        images = len(self.calibration_sets[0].pixels)
        ranges = f"percentile {method.percentile:g}" if method.method == "percentile" else "min-max"
        origin = "training images" if folder is None else "images of a folder"
        corrected = min(images, COMPARED)
        return f"{ranges} over {images} {origin}, biases corrected over {corrected} of them"

    def _calibrated(
        self, quantizer: Quantizer, images: CalibrationSet, progress: ProgressFactory
    ) -> tuple[Ranges, bytes]:
        ranges = as_stage(
            progress, "calibrating", lambda: quantizer.ranges(images.pixels, self._method)
        )
        return ranges, quantizer.model(ranges, images.pixels, progress=progress)

    def _mixed(self, rejected: Variant, quantizer: Quantizer, ranges: Ranges) -> Variant:
        scheme = replace(rejected.scheme, name=f"{rejected.scheme.name}{MIXED_SUFFIX}")
        pixels = self.calibration_sets[0].pixels
        mixed, result = control_accuracy(
            quantizer.blocks,
            rejected.tensor_errors,
            # Corrected anew each time: what was found behind a broken block is wrong without it.
            lambda names: self._verified(scheme, quantizer.model(ranges, pixels, names)),
            self._progress(scheme),
        )
        return replace(
            mixed,
            calibration=rejected.calibration,
            tensor_errors=quantizer.errors(mixed.model, pixels),
            mixed_precision=result,
        )

    def _verified(self, scheme: Scheme, model: bytes) -> Variant:
        outputs = self._outputs(scheme, model, self._progress(scheme))
        logits, embeddings = _logits(outputs), outputs.get("embedding")
        baseline, floor = self.source.validation, self.settings.refit_sensitivity
        verification = verify(
            baseline,
            logits,
            self.settings.limits,
            same_computation=scheme.quantization == FLOAT32,
        )
        default_session = self._default_session(scheme, model)
        failures = list(verification.failures)
        if default_session:
            failures += [
                f"in a default session of ONNX Runtime: {words}"
                for words in default_session.failures
                if words not in failures
            ]
        own, warnings = None, verification.warnings
        if floor is not None:
            own = refit(baseline, logits, min_sensitivity=floor)
            failures += refit_failures(own, self.settings.limits)
            # Those of the point that the bundle has.
            warnings = soundness_warnings(
                own.metrics.by_name(), own.operating_point, self.source.names
            )
        verification = replace(
            verification,
            failures=tuple(failures),
            warnings=(*self.source.warnings, *warnings),
        )
        return Variant(scheme, model, logits, embeddings, verification, default_session, own)

    def _default_session(self, scheme: Scheme, model: bytes) -> Verification | None:
        """An ONNX INT8 model as others run it."""
        if scheme.format != ONNX or scheme.quantization != INT8:
            return None
        entry = InputEntry.of_contract(scheme.format, scheme.quantization, self.source.preprocess)
        engine = OnnxEngine(
            onnxruntime, "onnxruntime", model, entry, self.source.outputs, exact=False
        )
        outputs = engine_outputs(
            engine, self.source.validation_pixels, self._progress(scheme), stage="default session"
        )
        return verify(self.source.validation, _logits(outputs), self.settings.limits)

    def _outputs(self, scheme: Scheme, model: bytes, progress: ProgressFactory) -> Outputs:
        engine = _engine(self.source, scheme, model)
        return engine_outputs(engine, self.source.validation_pixels, progress)

    def _progress(self, scheme: Scheme) -> ProgressFactory:
        return lambda stage: self.progress(f"{scheme.name}: {stage}")


def _again(progress: ProgressFactory) -> ProgressFactory:
    return lambda stage: progress(f"{stage} with other images")


def _engine(source: Source, scheme: Scheme, model: bytes) -> Engine:
    spec = source.preprocess
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
        own.operating_point if own else source.validation.operating_point,
        source.preprocessor(variant.scheme.format),
    )
    return replace(variant, artifacts=artifacts)


def _of_wrong_graph(variant: Variant, float32: Variant) -> Variant:
    reason = (
        f"made from {float32.scheme.name}, whose graph does not compute what Keras does, so "
        "its losses are not due to quantization alone"
    )
    verification = variant.verification
    return replace(
        variant,
        verification=replace(verification, failures=(reason, *verification.failures)),
    )
