"""``bundle.json``: what a bundle says of itself, as frozen dataclasses."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated

from cxr_edge_runtime.preprocess import PreprocessSpec, Side
from cxr_edge_runtime.typed_json import PRINTABLE, Limits

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
# The input gate's numbers; inputs with the predictions that they must get; what predictions looked
# like on validation, for a log to be compared with.
GATE_FILE, SELFTEST_FILE, REFERENCE_FILE = "gate.npz", "selftest.npz", "reference.npz"
# The most bytes that each may take; golden inputs: room for five of 1024x1024.
MAX_BYTES = {GATE_FILE: 200_000, SELFTEST_FILE: 6_000_000, REFERENCE_FILE: 100_000}
# VGG16 in float32, the largest model we build, has 59 MB.
MAX_FILE_BYTES = 200_000_000
# A bundle has five files.
MAX_FILES = 16

NOTICE = "Research use only. Not a medical device."

Text = Annotated[str, PRINTABLE]
# Without any folder, so that no bundle reaches outside its own.
FileName = Annotated[
    str, Limits(pattern="[A-Za-z0-9_-][A-Za-z0-9._-]*", must="be a plain file name")
]
One = Annotated[int, Limits(const=1)]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """SHA-256 (hexadecimal) and size of a file of the bundle."""

    sha256: Text
    bytes: Annotated[int, Limits(minimum=0, maximum=MAX_FILE_BYTES)]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """The model's file and what it is.

    Attributes:
        file: its name.
        format: ``tflite`` or ``onnx``.
        quantization: ``float32``, ``float16`` (weights), ``dynamic`` (INT8 weights) or ``int8``
            (weights and activations); ONNX has the first and the last.
    """

    file: FileName
    format: Annotated[Text, Limits(choices=tuple(CONTRACT_INPUTS))]
    quantization: Text


@dataclass(frozen=True, slots=True)
class InputEntry:
    """The model's input tensor: ``real = (stored - zero_point) * scale`` are grey values 0–255.

    Attributes:
        shape: ``(1, H, W, 1)``.
        dtype: ``float32`` or ``int8``.
        scale: 1.0 by the model contract.
        zero_point: 0 for float32, -128 for int8.
    """

    shape: tuple[One, Side, Side, One]
    dtype: Text
    scale: Annotated[float, Limits(const=1)]
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

    value: Annotated[float, Limits(minimum=0, maximum=1)]
    rule: Text
    chosen_on: Text


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Distances from the training films beyond which an image is suspicious or rejected."""

    suspicious: Annotated[float, Limits(above=0)]
    rejected: Annotated[float, Limits(above=0)]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure with its 95% interval over ``n`` images."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The images that set the ranges of an INT8 model: how many, how chosen, which."""

    count: int
    method: Text
    seed: int
    digest: Text


@dataclass(frozen=True, slots=True)
class Training:
    """Where the model comes from."""

    architecture: Text
    weights: Text
    seed: int
    dataset_digest: Text
    recipe: Text
    versions: dict[str, Text]


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

    schema_version: Annotated[int, Limits(const=SCHEMA_VERSION)]
    name: Text
    version: Text
    task: Text
    labels: Annotated[tuple[Text, ...], Limits(min_items=2, max_items=2, unique=True)]
    positive_label: Text
    files: Annotated[dict[FileName, FileEntry], Limits(max_keys=MAX_FILES)]
    model: ModelEntry
    input: InputEntry
    outputs: Annotated[
        tuple[Annotated[Text, Limits(choices=OUTPUTS)], ...],
        Limits(contains="logit", unique=True),
    ]
    preprocess: PreprocessSpec
    temperature: Annotated[float, Limits(above=0)]
    threshold: Threshold
    gate: GateLimits | None
    metrics: dict[str, dict[str, Figure]]
    calibration: Calibration | None
    training: Training
    intended_use: Text
    notice: Text
    license: Text

    def to_json(self) -> str:
        """The text of ``bundle.json``; :func:`parse_manifest` gives an equal manifest back."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"
