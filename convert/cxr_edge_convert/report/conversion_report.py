"""``report.json`` as frozen dataclasses; docs/conversion-report.md describes its fields."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cxr_edge_convert.limits import Limits
from cxr_edge_convert.quantization.accuracy_control import MixedPrecisionResult
from cxr_edge_convert.quantization.stability import Stability
from cxr_edge_convert.quantization.tensor_errors import TensorError
from cxr_edge_convert.refitting import Refit
from cxr_edge_convert.variants import FORMATS, MIXED_SUFFIX, QUANTIZATIONS, TARGETS, TFLITE
from cxr_edge_convert.verification import Verification
from cxr_edge_runtime import typed_json
from cxr_edge_runtime.bundle.manifest import Calibration
from cxr_edge_runtime.device.inference_timing import Timing
from cxr_edge_runtime.preprocess import PreprocessSpec
from cxr_edge_train.evaluation.metrics import Metrics
from cxr_edge_train.statistics.operating_point import OperatingPoint

REPORT_SCHEMA_VERSION = 4

# Optional keys: a precision that cannot be computed is left out, and reports that were written
# before there was a gate or a locator do not have one: they are read as None. `waited` was not
# measured before.
OPTIONAL_KEYS = ("precision", "gate", "locator", "waited")

_Version = Annotated[int, typed_json.Bounds(const=REPORT_SCHEMA_VERSION)]
_Format = Annotated[str, typed_json.Bounds(choices=FORMATS)]
_Quantization = Annotated[str, typed_json.Bounds(choices=QUANTIZATIONS)]
_Target = Annotated[str, typed_json.Bounds(choices=TARGETS)]


@dataclass(frozen=True, slots=True)
class LocatorReport:
    """The lung locator, whose box the model is shown.

    Attributes:
        margin: how many times as wide and high as the lungs the box is.
        bytes: the size of its file by format.
    """

    margin: float
    bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The float model that was converted.

    Attributes:
        name: the first part of the names of its bundles.
        architecture: the name of the network.
        weights: where the weights began.
        seed: the seed of the training run.
        dataset_digest: the digest of its training and validation images.
        model_sha256: SHA-256 of the model's file.
        keras_bytes: the size of the model as ``.keras`` without optimizer.
        outputs: the outputs of the model contract that it gives.
        preprocess: the way from grey pixels to its input.
        locator: the lung locator, where there is one.
    """

    name: str
    architecture: str
    weights: str
    seed: int
    dataset_digest: str
    model_sha256: str
    keras_bytes: int
    outputs: tuple[str, ...]
    preprocess: PreprocessSpec
    locator: LocatorReport | None


@dataclass(frozen=True, slots=True)
class FloatReport:
    """The metrics of the float model on validation."""

    metrics: Metrics


@dataclass(frozen=True, slots=True)
class GateReport:
    """The input gate of a variant: its limits, and how many images get which verdict.

    Attributes:
        suspicious: the distance beyond which an image is suspicious.
        rejected: the distance beyond which an image is rejected.
        validation: the number of validation images by verdict.
        augmented: the number of training images that were made to look different, by verdict.
        non_films: the number of out-of-distribution images by category and verdict.
    """

    suspicious: float
    rejected: float
    validation: dict[str, int]
    augmented: dict[str, int]
    non_films: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class VariantReport:
    """One variant.

    Attributes:
        name: the name of the variant.
        format: the format of the model's file.
        quantization: how weights and activations are stored.
        target: the processors that an ONNX INT8 model is laid out for.
        folder: where its bundle lies, relative to the folder of the conversion.
        bytes: the size of the model's file.
        sha256: SHA-256 of the model's file.
        ratio_to_keras: the size divided by that of the Keras model.
        ratio_to_float32: the size divided by that of float32 in the same format.
        passed: whether the variant keeps all limits.
        verification: the comparison with the float model.
        default_session: the same in a session of ONNX Runtime with its default options, for ONNX
            INT8.
        warnings: what a user must know of the variant, one sentence each.
        refit: its own operating point, where one was fitted.
        calibration: the images that set the ranges of an INT8 model.
        stability: what other calibration images would change.
        tensor_errors: how far the outputs of its operators are from float, for INT8.
        accuracy_control: which operators were kept in float.
        gate: the input gate, where the model has one.
        timings: one for each number of threads.
    """

    name: str
    format: _Format
    quantization: _Quantization
    target: _Target | None
    folder: str
    bytes: int
    sha256: str
    ratio_to_keras: float
    ratio_to_float32: float
    passed: bool
    verification: Verification
    default_session: Verification | None
    warnings: tuple[str, ...]
    refit: Refit | None
    calibration: Calibration | None
    stability: Stability | None
    tensor_errors: tuple[TensorError, ...]
    accuracy_control: MixedPrecisionResult | None
    gate: GateReport | None
    timings: tuple[Timing, Timing]

    @property
    def at_point(self) -> Verification | Refit:
        """The comparison with the float model at the operating point of the variant's bundle."""
        return self.refit or self.verification

    @property
    def tells_apart(self) -> bool:
        """False of a model that gives all validation images of a label the other one."""
        metrics = self.at_point.metrics
        return min(metrics.sensitivity.value, metrics.specificity.value) > 0


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What a conversion made, and what each variant costs.

    Attributes:
        schema_version: the version of this format.
        notice: that this is research software.
        source: the float model.
        labels: the names of the two classes, the negative one first.
        operating_point: its temperature, bias and threshold, at which variants are verified.
        limits: the most that a variant may lose.
        keras: the metrics of the float model.
        variants: in the order in which they were made.
        versions: the versions of Python and of the packages that converted.
        machine: the processor that all was verified and measured on, with its instructions for
            INT8.
    """

    schema_version: _Version
    notice: str
    source: SourceReport
    labels: tuple[str, ...]
    operating_point: OperatingPoint
    limits: Limits
    keras: FloatReport
    variants: tuple[VariantReport, ...]
    versions: dict[str, str]
    machine: str

    @property
    def rejected(self) -> tuple[VariantReport, ...]:
        """The variants that missed a limit."""
        return tuple(variant for variant in self.variants if not variant.passed)

    @property
    def missed(self) -> tuple[VariantReport, ...]:
        """The rejected variants that no other one with blocks in float replaces."""
        rescued = {
            variant.name.removesuffix(MIXED_SUFFIX)
            for variant in self.variants
            if variant.passed and variant.name.endswith(MIXED_SUFFIX)
        }
        return tuple(variant for variant in self.rejected if variant.name not in rescued)

    @property
    def recommended(self) -> VariantReport | None:
        """The smallest variant that passed, of TFLite where there is one; None where none did.

        A model that gives one label to every image is never recommended.
        """
        passed = [variant for variant in self.variants if variant.passed and variant.tells_apart]
        return min(passed, key=lambda v: (v.format != TFLITE, v.bytes), default=None)

    def as_dict(self) -> dict[str, Any]:
        """The content of ``report.json``."""
        values = asdict(self)
        for metrics in _all_metrics(values):
            if metrics["precision"] is None:
                del metrics["precision"]
        return values

    @classmethod
    def from_dict(cls, values: Any) -> "ConversionReport":
        """Read the content of ``report.json``, strictly.

        Raises:
            TypedJsonError: the content does not have the form of a report.
        """
        try:
            for metrics in _all_metrics(values):
                metrics.setdefault("precision", None)
            values["source"].setdefault("locator", None)
            for variant in values["variants"]:
                variant.setdefault("gate", None)
        except (LookupError, TypeError, AttributeError):
            pass  # the strict reader below says what is wrong, and where
        return typed_json.from_json(cls, values, name="the report")


def _all_metrics(values: Any) -> list[dict[str, Any]]:
    """The objects of metrics in the content of a report."""
    measured = [values["keras"]]
    for variant in values["variants"]:
        measured.append(variant["verification"])
        measured += [variant[key] for key in ("default_session", "refit") if variant[key]]
    return [holder["metrics"] for holder in measured]
