"""``bundle.json``: what a bundle says of itself, as frozen dataclasses."""

import dataclasses
import json
from dataclasses import dataclass

from cxr_edge_runtime.preprocess import PreprocessSpec

# 1: all three outputs, TFLite in float32 or INT8. 2: says which outputs there are; more kinds.
SCHEMA_VERSION = 2

# The model contract, by format: type and zero point of the input follow from the quantization.
# ONNX models keep the scaling of grey values in float, so they take floats even in INT8.
_FLOAT, _INT8 = ("float32", 0), ("int8", -128)
CONTRACT_INPUTS = {
    "tflite": {"float32": _FLOAT, "float16": _FLOAT, "dynamic": _FLOAT, "int8": _INT8},
    "onnx": {"float32": _FLOAT, "int8": _FLOAT},
}

# What a model may give, by name, never by position; a logit it must give.
OUTPUTS = ("cam", "logit", "embedding")

# What a person should know of the bundle, and the heading below which its limits are listed.
CARD_FILE = "MODEL_CARD.md"
LIMITS_HEADING = "Bias, risks and limitations"
# The input gate's numbers, and the most bytes they may take.
GATE_FILE, MAX_GATE_BYTES = "gate.npz", 200_000
# Inputs with the answers they must get; room for five of 1024x1024.
SELFTEST_FILE, MAX_SELFTEST_BYTES = "selftest.npz", 6_000_000
# What answers looked like on validation, for a log to be compared with.
REFERENCE_FILE, MAX_REFERENCE_BYTES = "reference.npz", 100_000

NOTICE = "Research use only. Not a medical device."


@dataclass(frozen=True, slots=True)
class FileEntry:
    """SHA-256 (hexadecimal) and size of a file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """The model's file and what it is.

    Attributes:
        file: its name.
        format: ``tflite`` or ``onnx``.
        quantization: ``float32``, ``float16`` (weights), ``dynamic`` (INT8 weights) or ``int8``
            (weights and activations); ONNX has the first and the last.
    """

    file: str
    format: str
    quantization: str


@dataclass(frozen=True, slots=True)
class InputEntry:
    """The model's input tensor: ``real = (stored - zero_point) * scale`` are grey values 0–255.

    Attributes:
        shape: ``(1, H, W, 1)``.
        dtype: ``float32`` or ``int8``.
        scale: 1.0 by the model contract.
        zero_point: 0 for float32, -128 for int8.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @classmethod
    def of_contract(
        cls, format: str, quantization: str, preprocess: PreprocessSpec
    ) -> "InputEntry":
        """The input that the model contract gives to a model; see :class:`ModelEntry`."""
        dtype, zero_point = CONTRACT_INPUTS[format][quantization]
        return cls((1, preprocess.height, preprocess.width, 1), dtype, 1.0, zero_point)


@dataclass(frozen=True, slots=True)
class Threshold:
    """PNEUMONIA at or above ``value``; the rule that chose it and the split it was chosen on."""

    value: float
    rule: str
    chosen_on: str


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Distances from the training films beyond which an image is suspicious or rejected."""

    suspicious: float
    rejected: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A measured figure with its 95% interval over ``n`` images."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """``0.953 [0.938, 0.966]``."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The images that set the ranges of an INT8 model: how many, how chosen, which."""

    count: int
    method: str
    seed: int
    digest: str


@dataclass(frozen=True, slots=True)
class Training:
    """Where the model comes from."""

    architecture: str
    weights: str
    seed: int
    dataset_digest: str
    recipe: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``bundle.json``.

    Attributes:
        schema_version: version of this format.
        name: of the bundle, for example ``mobilenetv2-int8``.
        version: of the bundle.
        task: what the model is for.
        labels: the two labels, negative first.
        positive_label: the label whose probability is reported.
        files: every file of the bundle but the manifest, its checksum and its signature.
        model: the model's file and kind.
        input: the model's input tensor.
        outputs: those of :data:`OUTPUTS` that the model gives; ``logit`` always. Without ``cam``
            there is no heat map, without ``embedding`` no input gate.
        preprocess: from grey pixels to input.
        temperature: probability is ``sigmoid(logit / temperature)``.
        threshold: the frozen operating point.
        gate: limits of the input gate, or None where inputs are not checked.
        metrics: figures by split and metric.
        calibration: of an INT8 model, else None.
        training: where the model comes from.
        intended_use: in words.
        notice: shown with every result.
        license: SPDX name of the bundle's licence.
    """

    schema_version: int
    name: str
    version: str
    task: str
    labels: tuple[str, ...]
    positive_label: str
    files: dict[str, FileEntry]
    model: ModelEntry
    input: InputEntry
    outputs: tuple[str, ...]
    preprocess: PreprocessSpec
    temperature: float
    threshold: Threshold
    gate: GateLimits | None
    metrics: dict[str, dict[str, Interval]]
    calibration: Calibration | None
    training: Training
    intended_use: str
    notice: str
    license: str

    def to_json(self) -> str:
        """The text of ``bundle.json``; :func:`parse_manifest` gives an equal manifest back."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"
