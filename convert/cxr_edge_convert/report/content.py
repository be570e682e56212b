"""What a conversion says of itself, gathered for ``report.json``."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.report.storage import REPORT_SCHEMA_VERSION, Content
from cxr_edge_convert.settings import ConversionSettings
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import FLOAT32
from cxr_edge_runtime.bundle.manifest import NOTICE
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


def report_content(
    source: Source,
    settings: ConversionSettings,
    variants: Sequence[Variant],
    *,
    files: Mapping[str, tuple[int, str]],
    timings: Mapping[str, Sequence[Timing]],
) -> Content:
    """All that stands in ``report.json``; only ``timings`` differ when a conversion is repeated.

    Args:
        source: the float model.
        settings: of the conversion.
        variants: what was made.
        files: bytes and SHA-256 of each variant's model as it lies in its bundle, by name.
        timings: of each variant, by name.
    """
    float32_bytes = {
        variant.scheme.format: files[variant.scheme.name][0]
        for variant in variants
        if variant.scheme.quantization == FLOAT32
    }
    reference = source.validation
    return {
        "schema_version": REPORT_SCHEMA_VERSION,
        "notice": NOTICE,
        "source": {
            "name": source.name,
            "architecture": source.training.architecture,
            "weights": source.training.weights,
            "seed": source.training.seed,
            "dataset_digest": source.training.dataset_digest,
            "model_sha256": source.model_sha256,
            "keras_bytes": source.keras_bytes,
            "outputs": list(source.outputs),
            "preprocess": asdict(source.images.preprocess),
        },
        "operating_point": {
            "threshold": reference.threshold,
            "temperature": reference.temperature,
            "rule": source.threshold_rule,
        },
        "limits": asdict(settings.limits),
        "keras": {"metrics": reference.metrics.as_dict()},
        "variants": [
            _variant_content(
                variant,
                size=files[variant.scheme.name][0],
                sha256=files[variant.scheme.name][1],
                keras_bytes=source.keras_bytes,
                float32_bytes=float32_bytes[variant.scheme.format],
                timings=timings[variant.scheme.name],
            )
            for variant in variants
        ],
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("cxr-edge", *_VERSIONED)},
        },
        "machine": platform.machine(),
    }


def prediction_columns(source: Source, variants: Sequence[Variant]) -> pd.DataFrame:
    """The logits of Keras and of each variant on validation; see ``predictions.csv``."""
    return source.validation.table[["path", "label", "patient"]].assign(
        keras=source.validation.logits, **{v.scheme.name: v.logits for v in variants}
    )


def _variant_content(
    variant: Variant,
    *,
    size: int,
    sha256: str,
    keras_bytes: int,
    float32_bytes: int,
    timings: Sequence[Timing],
) -> Content:
    controlled = variant.controlled
    return {
        "name": variant.scheme.name,
        "format": variant.scheme.format,
        "quantization": variant.scheme.quantization,
        "target": variant.scheme.target,
        "folder": variant_folder(variant).as_posix(),
        "bytes": size,
        "sha256": sha256,
        "ratio_to_keras": size / keras_bytes,
        "ratio_to_float32": size / float32_bytes,
        "passed": variant.verification.passed,
        "verification": variant.verification.as_dict(),
        "refit": variant.refit.as_dict() if variant.refit else None,
        "calibration": asdict(variant.calibration) if variant.calibration else None,
        "stability": variant.stability.as_dict() if variant.stability else None,
        "tensor_errors": [asdict(error) for error in variant.errors],
        "accuracy_control": (
            {"blocks_in_float": controlled.blocks, "steps": controlled.steps}
            if controlled
            else None
        ),
        "gate": variant.artifacts.gate_as_dict() if variant.artifacts else None,
        "timings": [asdict(timing) for timing in timings],
    }
