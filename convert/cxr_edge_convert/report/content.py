"""The report of a conversion, gathered from what was made."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.report.conversion_report import (
    REPORT_SCHEMA_VERSION,
    ConversionReport,
    FloatReport,
    GateReport,
    LocatorReport,
    SourceReport,
    VariantReport,
)
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import FLOAT32, FORMATS
from cxr_edge_runtime.bundle.manifest import NOTICE
from cxr_edge_runtime.device import processor_instructions
from cxr_edge_runtime.device.inference_timing import Timing

REJECTED = "rejected"

_VERSIONED = (
    "keras", "tensorflow", "ai-edge-litert", "ai-edge-quantizer", "onnx", "onnxruntime", "tf2onnx",
    "numpy",
)  # fmt: skip


def variant_folder(variant: Variant) -> Path:
    """Where a variant's bundle lies, relative to the conversion's folder."""
    name = Path(variant.scheme.name)
    return name if variant.verification.passed else REJECTED / name


def conversion_report(
    source: Source,
    settings: ConversionSettings,
    variants: Sequence[Variant],
    *,
    files: Mapping[str, tuple[int, str]],
    timings: Mapping[str, Sequence[Timing]],
) -> ConversionReport:
    """Gather the report of a conversion; only ``timings`` differ when it is repeated.

    Args:
        source: the float model.
        settings: what the conversion was asked for.
        variants: what was made.
        files: bytes and SHA-256 of each variant's model in its bundle, by name.
        timings: with one and with two threads, of each variant by name.
    """
    float32_bytes = {
        variant.scheme.format: files[variant.scheme.name][0]
        for variant in variants
        if variant.scheme.quantization == FLOAT32
    }
    baseline = source.validation
    return ConversionReport(
        schema_version=REPORT_SCHEMA_VERSION,
        notice=NOTICE,
        source=SourceReport(
            name=source.name,
            architecture=source.training.architecture,
            weights=source.training.weights,
            seed=source.training.seed,
            dataset_digest=source.training.dataset_digest,
            model_sha256=source.model_sha256,
            keras_bytes=source.keras_bytes,
            outputs=source.outputs,
            preprocess=source.preprocess,
            locator=_locator_report(source),
        ),
        labels=tuple(source.names),
        operating_point=baseline.operating_point,
        limits=settings.limits,
        keras=FloatReport(baseline.metrics),
        variants=tuple(
            _variant_report(
                variant,
                file=files[variant.scheme.name],
                keras_bytes=source.keras_bytes,
                float32_bytes=float32_bytes[variant.scheme.format],
                timings=timings[variant.scheme.name],
            )
            for variant in variants
        ),
        versions={
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("cxr-edge", *_VERSIONED)},
        },
        machine=processor_instructions(),
    )


def prediction_columns(source: Source, variants: Sequence[Variant]) -> pd.DataFrame:
    """The logits of Keras and of each variant on validation; see ``predictions.csv``."""
    return source.validation.table[["path", "label", "patient"]].assign(
        keras=source.validation.logits, **{v.scheme.name: v.logits for v in variants}
    )


def _variant_report(
    variant: Variant,
    *,
    file: tuple[int, str],
    keras_bytes: int,
    float32_bytes: int,
    timings: Sequence[Timing],
) -> VariantReport:
    size, sha256 = file
    scheme, (one_thread, two_threads) = variant.scheme, timings
    return VariantReport(
        name=scheme.name,
        format=scheme.format,
        quantization=scheme.quantization,
        target=scheme.target,
        folder=variant_folder(variant).as_posix(),
        bytes=size,
        sha256=sha256,
        ratio_to_keras=size / keras_bytes,
        ratio_to_float32=size / float32_bytes,
        passed=variant.verification.passed,
        verification=variant.verification,
        default_session=variant.default_session,
        warnings=variant.warnings,
        refit=variant.refit,
        calibration=variant.calibration,
        stability=variant.stability,
        tensor_errors=variant.tensor_errors,
        accuracy_control=variant.mixed_precision,
        gate=_gate_report(variant),
        timings=(one_thread, two_threads),
    )


def _locator_report(source: Source) -> LocatorReport | None:
    locator = source.locator
    if locator is None:
        return None
    sizes = {format: len(locator.model(format)) for format in FORMATS}
    return LocatorReport(locator.record.margin, sizes)


def _gate_report(variant: Variant) -> GateReport | None:
    artifacts = variant.artifacts
    if artifacts is None or artifacts.gate is None or artifacts.gate_counts is None:
        return None
    counts = asdict(artifacts.gate_counts)
    del counts["unreadable"]  # the warning says it
    return GateReport(**asdict(artifacts.gate.limits), **counts)
