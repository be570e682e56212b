"""Reports of conversions that never took place, for tests of what is made of them."""

from typing import Any

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.report.conversion_report import (
    REPORT_SCHEMA_VERSION,
    ConversionReport,
    FloatReport,
    GateReport,
    SourceReport,
    VariantReport,
)
from cxr_edge_convert.verification import Verification, verify
from cxr_edge_runtime.bundle.manifest import NOTICE, Calibration
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.statistics.operating_point import OperatingPoint
from verified_logits import FLOAT, reference

TIMING = Timing(1, 12.4, 6.0, 4.125, 5.5, 5.9, 61.7)


def verification_of(shift: float = 0.0) -> Verification:
    """The verification of a variant that adds ``shift`` to each logit of the float model."""
    return verify(reference(), FLOAT + shift, Limits())


def variant_report(name: str, *, shift: float = 0.0, **changes: Any) -> VariantReport:
    """A report of one variant, an INT8 one of TFLite unless its name says ONNX."""
    verification = verification_of(shift)
    values: dict[str, Any] = {
        "name": name,
        "format": "onnx" if name.startswith("onnx") else "tflite",
        "quantization": "int8",
        "target": "x86" if name.endswith("x86") else None,
        "folder": name if verification.passed else f"rejected/{name}",
        "bytes": 2_731_000,
        "sha256": "0" * 64,
        "ratio_to_keras": 0.25,
        "ratio_to_float32": 0.2875,
        "passed": verification.passed,
        "verification": verification,
        "default_session": None,
        "warnings": (),
        "refit": None,
        "calibration": Calibration(300, "min-max", 0, "0123456789abcdef" * 4),
        "stability": Stability(300, 0.5, "tensor", 0.0, 9, ""),
        "tensor_errors": (),
        "accuracy_control": None,
        "gate": GateReport(9.5, 12.0, {"accepted": 400}, {"rejected": 3}, {}),
        "timings": (TIMING, TIMING),
    }
    return VariantReport(**values | changes)


def conversion_report_of(*variants: VariantReport) -> ConversionReport:
    """A report of a conversion that made these variants."""
    return ConversionReport(
        schema_version=REPORT_SCHEMA_VERSION,
        notice=NOTICE,
        source=SourceReport(
            name="tiny",
            architecture="tiny",
            weights="none",
            seed=0,
            dataset_digest="d" * 64,
            model_sha256="1" * 64,
            keras_bytes=10_924_000,
            outputs=("cam", "logit", "embedding"),
            preprocess=PreprocessSpec(32, 32),
            locator=None,
        ),
        labels=("NORMAL", "PNEUMONIA"),
        operating_point=OperatingPoint(1.0, 0.5, "a rule", "validation", 0.25, 0.5),
        limits=Limits(),
        keras=FloatReport(reference().metrics),
        variants=variants,
        versions={"python": "3.11"},
        machine="x86_64",
    )
