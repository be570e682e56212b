"""From a float model to verified bundles: the order in which the pieces are called."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_edge_convert.accuracy_control import Controlled, control_accuracy
from cxr_edge_convert.bias_correction import bias_corrections
from cxr_edge_convert.calibration import (
    calibration_digest,
    copies_of,
    draw_calibration_images,
    images_of_folder,
)
from cxr_edge_convert.equipping import Equipment, Equipper
from cxr_edge_convert.formats import (
    ModelProbe,
    float32_model,
    int8_model,
    probe_of,
    smaller_model,
    with_biases,
)
from cxr_edge_convert.graphs import blocks, output_operators, scaling_tensors
from cxr_edge_convert.limits import CALIBRATION_IMAGES, MAX_GRAPH_DIFFERENCE, Limits
from cxr_edge_convert.ranges import Ranges, activation_ranges
from cxr_edge_convert.sources import Source
from cxr_edge_convert.stability import Stability, stability
from cxr_edge_convert.tensor_errors import TensorError, tensor_errors
from cxr_edge_convert.variants import FLOAT32, INT8, ONNX, Scheme
from cxr_edge_convert.verification import (
    Refit,
    Verification,
    engine_outputs,
    refit,
    refit_failures,
    verify,
)
from cxr_edge_runtime.engines import Engine, Outputs, open_model
from cxr_edge_runtime.errors import InvalidRequest
from cxr_edge_runtime.manifest import Calibration, InputEntry
from cxr_edge_train.recipe import Calibration as Method

# Shows how far a step has come: from its label to a function that passes items through.
Watch = Callable[[str], Callable[[Iterable[Any], int], Iterable[Any]]]
# Images whose tensors are compared with float's: more change means and rankings no longer.
_COMPARED = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is converted.

    Attributes:
        schemes: the variants to make, see :func:`cxr_edge_convert.variants.wanted_schemes`.
        limits: the most a variant may lose.
        method: how ranges are found; the source's recipe says it where this is None.
        calibration_images: how many images calibrate INT8.
        calibration_dir: a folder with them; the training images without it.
        seed: of their drawing.
        accuracy_control: keep blocks in float where INT8 falls short.
        refit_sensitivity: the sensitivity floor at which temperature and threshold are fitted anew
            to each variant after its verdict; None leaves float's.
        not_films: a folder with things that are no chest X-ray, to measure the input gate.
    """

    schemes: tuple[Scheme, ...]
    limits: Limits = field(default_factory=Limits)
    method: Method | None = None
    calibration_images: int = CALIBRATION_IMAGES
    calibration_dir: Path | None = None
    seed: int = 0
    accuracy_control: bool = False
    refit_sensitivity: float | None = None
    not_films: Path | None = None


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
        equipment: what its bundle carries beside the model.
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
    controlled: Controlled | None = None
    equipment: Equipment | None = None


def make_variants(
    source: Source, settings: Settings, *, watch: Watch = lambda label: lambda items, total: items
) -> list[Variant]:
    """Make and verify every variant.

    Args:
        source: the float model.
        settings: what to make.
        watch: shows progress.

    Returns:
        In the order of the schemes; a model of accuracy control follows the one that fell short.

    Raises:
        InvalidRequest: too few calibration images, or some that belong to validation.
        ConversionError: a format cannot express the model.
        DatasetError: a calibration image changed since it was cleaned.
    """
    quantized = any(scheme.quantization == INT8 for scheme in settings.schemes)
    draws = _draws(source, settings) if quantized else []
    equipper = Equipper.of(source, not_films=settings.not_films, seed=settings.seed)
    variants: list[Variant] = []
    for format in dict.fromkeys(scheme.format for scheme in settings.schemes):
        float32_bytes = float32_model(source.model, format)
        work = _Work(source, settings, float32_bytes, draws, watch, settings.accuracy_control)
        first, *rest = (scheme for scheme in settings.schemes if scheme.format == format)
        [float32] = work.variants(first)
        if not float32.verification.passed:
            # What float32 falls short of, no block in float will cure.
            work = replace(work, accuracy_control=False)
        others = [variant for scheme in rest for variant in work.variants(scheme)]
        if float32.verification.max_logit_difference >= MAX_GRAPH_DIFFERENCE:
            others = [_of_wrong_graph(variant, float32) for variant in others]
        variants += [float32, *others]
    if equipper is None:
        return variants
    watched = watch("input gates")(variants, len(variants))
    return [_equipped(variant, equipper) for variant in watched]


@dataclass(frozen=True, slots=True)
class _Draw:
    """Calibration images, in the order they are used."""

    digest: str
    pixels: NDArray[np.uint8]


def _draws(source: Source, settings: Settings) -> list[_Draw]:
    """The calibration images and, where there are enough, as many others."""
    folder, images = settings.calibration_dir, source.images
    candidates = source.train
    if folder is not None:
        candidates, images = images_of_folder(folder), replace(images, root=folder)
        known = set(source.validation.table["md5"])
        twice = candidates.loc[candidates["md5"].isin(known), "path"]
        if len(twice):
            raise _leaking(folder, twice)
    tables = draw_calibration_images(
        candidates, count=settings.calibration_images, seed=settings.seed
    )
    draws = [_Draw(calibration_digest(table), images.pixels(table)) for table in tables]
    if folder is not None:
        for table, draw in zip(tables, draws):
            copies = copies_of(draw.pixels, source.validation_pixels)
            if len(copies):
                raise _leaking(folder, table["path"].iloc[copies])
    return draws


def _leaking(folder: Path, paths: pd.Series) -> InvalidRequest:
    return InvalidRequest(
        f"{folder}: {paths.iloc[0]} and {len(paths) - 1} more show validation images; what "
        "calibrates must not verify, so take them out"
    )


@dataclass(frozen=True, slots=True)
class _Quantized:
    """An INT8 model and the ranges it was made with."""

    ranges: Ranges
    model: bytes


@dataclass(frozen=True, slots=True)
class _Work:
    """What the variants of one format share."""

    source: Source
    settings: Settings
    float32: bytes
    draws: list[_Draw]
    watch: Watch
    accuracy_control: bool

    def variants(self, scheme: Scheme) -> list[Variant]:
        if scheme.quantization == FLOAT32:
            return [self._verified(scheme, self.float32)]
        if scheme.quantization != INT8:
            return [self._verified(scheme, smaller_model(self.float32, scheme))]
        return self._int8(scheme)

    def _int8(self, scheme: Scheme) -> list[Variant]:
        probe = probe_of(self.float32, scheme.format)
        watched = self.watch(f"{scheme.name}: calibrating")(self.draws, len(self.draws))
        kept, *others = (self._quantized(scheme, probe, draw) for draw in watched)
        variant = replace(
            self._verified(scheme, kept.model),
            calibration=Calibration(
                count=len(self.draws[0].pixels),
                method=self._method_in_words(),
                seed=self.settings.seed,
                digest=self.draws[0].digest,
            ),
            errors=self._errors(scheme, probe, kept.model),
        )
        if others:
            compared = stability(
                self.source.validation,
                (kept.ranges, variant.logits),
                (others[0].ranges, _logits(self._outputs(scheme, others[0].model))),
                images=len(self.draws[1].pixels),
                limits=self.settings.limits,
            )
            variant = replace(variant, stability=compared)
        groups = self._blocks(probe)
        if variant.verification.passed or not self.accuracy_control or not groups:
            return [variant]
        return [variant, self._controlled(variant, probe, groups, kept.ranges)]

    @property
    def _method(self) -> Method:
        return self.settings.method or self.source.calibration

    def _method_in_words(self) -> str:
        method, folder = self._method, self.settings.calibration_dir
        images = len(self.draws[0].pixels)
        ranges = f"percentile {method.percentile:g}" if method.method == "percentile" else "min-max"
        origin = "training images" if folder is None else "images of a folder"
        return f"{ranges} over all {origin}, biases corrected over {min(images, _COMPARED)} of them"

    def _quantized(self, scheme: Scheme, probe: ModelProbe, draw: _Draw) -> _Quantized:
        ranges = activation_ranges(
            probe, draw.pixels, scaling=scaling_tensors(probe.operators), calibration=self._method
        )
        return _Quantized(ranges, self._made(scheme, probe, ranges, draw))

    def _made(
        self,
        scheme: Scheme,
        probe: ModelProbe,
        ranges: Ranges,
        draw: _Draw,
        in_float: Collection[str] = (),
    ) -> bytes:
        """INT8 with corrected biases; what stays in float needs no correction."""

        def made(corrections: Mapping[str, NDArray[np.float32]]) -> bytes:
            float32 = with_biases(self.float32, scheme.format, corrections)
            return int8_model(float32, scheme, ranges, in_float=in_float)

        corrected = {operator.name for operator in probe.operators if operator.takes_bias}
        corrected -= set(in_float)
        corrections = bias_corrections(
            probe,
            lambda found: probe_of(made(found), scheme.format),
            [block for block in self._blocks(probe) if block[0] in corrected],
            draw.pixels[:_COMPARED],
            channel_axis=_channel_axis(scheme),
        )
        return made(corrections)

    def _blocks(self, probe: ModelProbe) -> list[tuple[str, ...]]:
        return blocks(probe.operators, output_operators(probe.operators, probe.outputs))

    def _controlled(
        self,
        short: Variant,
        probe: ModelProbe,
        groups: Sequence[tuple[str, ...]],
        ranges: Ranges,
    ) -> Variant:
        scheme = replace(short.scheme, name=f"{short.scheme.name}-mixed")
        controlled = control_accuracy(
            groups,
            short.errors,
            # Corrected anew each time: what was found behind a broken block is wrong without it.
            make=lambda names: self._made(scheme, probe, ranges, self.draws[0], names),
            check=lambda model: self._verified(scheme, model).verification,
            progress=self.watch(f"{scheme.name}: blocks to float"),
        )
        return replace(
            self._verified(scheme, controlled.model),
            calibration=short.calibration,
            errors=self._errors(scheme, probe, controlled.model),
            controlled=controlled,
        )

    def _errors(self, scheme: Scheme, probe: ModelProbe, model: bytes) -> tuple[TensorError, ...]:
        return tuple(
            tensor_errors(
                probe,
                probe_of(model, scheme.format),
                probe.operators,
                self.draws[0].pixels[:_COMPARED],
                channel_axis=_channel_axis(scheme),
            )
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
        verification = replace(verification, failures=[*verification.failures, *failures])
        return Variant(scheme, model, logits, embeddings, verification, own)

    def _outputs(self, scheme: Scheme, model: bytes) -> Outputs:
        watched = self.watch(f"{scheme.name}: verifying")
        engine = _engine(self.source, scheme, model)
        return engine_outputs(engine, self.source.validation_pixels, watched)


def _engine(source: Source, scheme: Scheme, model: bytes) -> Engine:
    spec = source.images.preprocess
    entry = InputEntry.of_contract(scheme.format, scheme.quantization, spec)
    return open_model(model, scheme.format, entry, source.outputs)


def _logits(outputs: Outputs) -> NDArray[np.float64]:
    return outputs["logit"][:, 0].astype(np.float64)


def _equipped(variant: Variant, equipper: Equipper) -> Variant:
    source, own = equipper.source, variant.refit
    equipment = equipper.equip(
        _engine(source, variant.scheme, variant.model),
        variant.logits,
        variant.embeddings,
        temperature=own.temperature if own else source.validation.temperature,
        threshold=own.threshold if own else source.validation.threshold,
    )
    return replace(variant, equipment=equipment)


def _of_wrong_graph(variant: Variant, float32: Variant) -> Variant:
    reason = (
        f"made from {float32.scheme.name}, whose graph does not compute what Keras does; what it "
        "loses is not the quantization's"
    )
    verification = variant.verification
    return replace(
        variant,
        verification=replace(verification, failures=[reason, *verification.failures]),
    )


def _channel_axis(scheme: Scheme) -> int:
    return 1 if scheme.format == ONNX else -1
