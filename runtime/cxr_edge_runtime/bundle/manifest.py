"""The manifest ``bundle.json`` as frozen dataclasses, each field with the limits on its value."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated

from cxr_edge_runtime.arguments import MAX_PREVALENCE, MIN_PREVALENCE
from cxr_edge_runtime.bundle.labels import Label
from cxr_edge_runtime.preprocess import LOCATOR_SIDE, PreprocessSpec, Side
from cxr_edge_runtime.typed_json import PRINTABLE, Bounds

# 1: all three outputs, TFLite in float32 or INT8. 2: says which outputs there are; more kinds.
# 3: bias and prevalence of the probability, and what the conversion was held to.
SCHEMA_VERSION = 3

# The model contract, by format: type and zero point of the input follow from the quantization.
# ONNX models keep the scaling of grey values in float, so they take floats even in INT8.
_FLOAT, _INT8 = ("float32", 0), ("int8", -128)
CONTRACT_INPUTS = {
    "tflite": {"float32": _FLOAT, "float16": _FLOAT, "dynamic": _FLOAT, "int8": _INT8},
    "onnx": {"float32": _FLOAT, "int8": _FLOAT},
}

# What a model may give, by name, never by position; a logit it must give.
OUTPUTS = ("cam", "logit", "embedding")

# Of the lung locator: its input and output, and the rule by which a box follows from its mask.
LOCATOR_VERSION = 1
LOCATOR_OUTPUTS = ("mask",)

# The model card, and the heading below which its limitations are listed.
CARD_FILE = "MODEL_CARD.md"
LIMITS_HEADING = "Bias, risks and limitations"
# The input gate's numbers; inputs with the predictions that they must get; what predictions looked
# like on validation, for a log to be compared with.
GATE_FILE, SELFTEST_FILE, REFERENCE_FILE = "gate.npz", "selftest.npz", "reference.npz"
# The most bytes that each may take; golden inputs: room for five of 1024x1024.
MAX_BYTES = {GATE_FILE: 200_000, SELFTEST_FILE: 6_000_000, REFERENCE_FILE: 100_000}
# Twice what our own locator has.
MAX_LOCATOR_BYTES = 1_000_000
# VGG16 in float32, the largest model we build, has 59 MB.
MAX_FILE_BYTES = 200_000_000
# A bundle has six files.
MAX_FILES = 16

NOTICE = "Research use only. Not a medical device."

# What the names of bundles that missed a limit, or were held to looser ones, end in.
REJECTED_SUFFIX, LOOSE_SUFFIX = "-rejected", "-loose-limits"

Text = Annotated[str, PRINTABLE]
# What a bundle says is printed among the lines of the tool, of which it must not fake one.
Line = Annotated[
    Text,
    Bounds(pattern=r"[^\x00-\x1f\x7f-\x9f]{0,2000}", must="be one line of at most 2000 characters"),
]
Name = Annotated[
    str,
    Bounds(
        pattern=r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}",
        must="be a name of at most 128 letters, digits and . _ + -",
    ),
]
Version = Annotated[
    str,
    Bounds(
        pattern=r"[0-9][A-Za-z0-9._+-]{0,63}",
        must="be a version: a digit, then at most 63 letters, digits and . _ + -",
    ),
]
License = Annotated[
    str, Bounds(pattern=r"[A-Za-z0-9][A-Za-z0-9 .+()-]{0,99}", must="be an SPDX name or expression")
]
Digest = Annotated[str, Bounds(pattern="[0-9a-f]{64}", must="be a SHA-256 in hexadecimal")]
Share = Annotated[float, Bounds(minimum=0, maximum=1)]
Count = Annotated[int, Bounds(minimum=0)]
Difference = Annotated[float, Bounds(minimum=-1, maximum=1)]
# The difference of two shares of images is off by less than this in floating point.
_ROUNDING = 1e-9
MAX_AGE = 150
Age = Annotated[float, Bounds(minimum=0, maximum=MAX_AGE)]
Prevalence = Annotated[float, Bounds(minimum=MIN_PREVALENCE, maximum=MAX_PREVALENCE)]
# Without any folder, so that no bundle reaches outside its own.
FileName = Annotated[
    str, Bounds(pattern="[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", must="be a plain file name")
]
One = Annotated[int, Bounds(const=1)]
LocatorVersion = Annotated[
    int,
    Bounds(
        const=LOCATOR_VERSION,
        must=f"be {LOCATOR_VERSION}, the only version that this cxr-edge supports",
    ),
]
LocatorMargin = Annotated[float, Bounds(minimum=1, maximum=3)]


def locator_file(format: str) -> str:
    """The name of the lung locator's file beside a model of the format."""
    return f"locator.{format}"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the bundle.

    Attributes:
        sha256: its SHA-256, hexadecimal.
        bytes: its size.
    """

    sha256: Digest
    bytes: Annotated[int, Bounds(minimum=0, maximum=MAX_FILE_BYTES)]


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """The model's file and format.

    Attributes:
        file: its name in the bundle.
        format: ``tflite`` or ``onnx``.
        quantization: ``float32``, ``float16`` (weights), ``dynamic`` (INT8 weights) or ``int8``
            (weights and activations); for ONNX the first or the last.
    """

    file: FileName
    format: Annotated[Text, Bounds(choices=tuple(CONTRACT_INPUTS))]
    quantization: Text


@dataclass(frozen=True, slots=True)
class InputEntry:
    """The model's input tensor, of which ``(stored - zero_point) * scale`` are grey values 0–255.

    Attributes:
        shape: ``(1, H, W, 1)``.
        dtype: ``float32`` or ``int8``.
        scale: always 1.0.
        zero_point: 0 for float32, -128 for int8.
    """

    shape: tuple[One, Side, Side, One]
    dtype: Text
    scale: Annotated[float, Bounds(const=1)]
    zero_point: int

    @classmethod
    def of_contract(
        cls, format: str, quantization: str, preprocess: PreprocessSpec
    ) -> "InputEntry":
        """Return the input that a model of this format and quantization must have.

        Args:
            format: see :class:`ModelEntry`.
            quantization: see :class:`ModelEntry`.
            preprocess: gives the size.
        """
        dtype, zero_point = CONTRACT_INPUTS[format][quantization]
        return cls((1, preprocess.height, preprocess.width, 1), dtype, 1.0, zero_point)


# Grey values as they are, whatever the quantization of its weights.
LOCATOR_INPUT = InputEntry((1, LOCATOR_SIDE, LOCATOR_SIDE, 1), "float32", 1.0, 0)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The frozen threshold on the probability.

    Attributes:
        value: the label is the positive one at or above this probability.
        rule: how the value was chosen, as text.
        chosen_on: the split on which it was chosen.
    """

    value: Annotated[float, Bounds(minimum=0, maximum=1)]
    rule: Line
    chosen_on: Name


@dataclass(frozen=True, slots=True)
class GateLimits:
    """The limits on the distance of an image from the training films.

    Attributes:
        suspicious: beyond it an image is suspicious.
        rejected: beyond it an image is rejected.
    """

    suspicious: Annotated[float, Bounds(above=0)]
    rejected: Annotated[float, Bounds(above=0)]


@dataclass(frozen=True, slots=True)
class Interval:
    """A metric, 0 to 1, with its 95% interval over ``n`` images."""

    value: Share
    low: Share
    high: Share
    n: Annotated[int, Bounds(minimum=1)]

    def __str__(self) -> str:
        """``0.953 [0.938, 0.966]``."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Calibration:
    """The images that set the ranges of an INT8 model.

    Attributes:
        count: number of images.
        method: how the ranges follow from the images, as text.
        seed: of the choice of images.
        digest: SHA-256 over the images, hexadecimal.
    """

    count: Count
    method: Line
    seed: int
    digest: Digest


@dataclass(frozen=True, slots=True)
class AccuracyLimits:
    """The most that a model may lose against the float model, as differences of shares.

    Attributes:
        recall_drop: the maximum drop in recall of the positive label.
        specificity_drop: the maximum drop in specificity.
        auc_drop: the maximum drop of the area under the ROC curve.
        agreement: the minimum share of images with the prediction of the float model.
    """

    recall_drop: Share
    specificity_drop: Share
    auc_drop: Share
    agreement: Share

    def missed_by(self, loss: "AccuracyLoss") -> bool:
        """Whether a model that loses so much misses a limit."""
        return (
            loss.recall_drop > self.recall_drop + _ROUNDING
            or loss.specificity_drop > self.specificity_drop + _ROUNDING
            or loss.auc_drop > self.auc_drop + _ROUNDING
            or loss.agreement < self.agreement - _ROUNDING
        )


@dataclass(frozen=True, slots=True)
class AccuracyLoss:
    """What a model loses against the float model on validation, as differences of shares.

    Attributes:
        recall_drop: the drop in recall of the positive label; below 0 where it gained.
        recall_lost: the same in images, of ``recall_images``.
        recall_images: the number of images of the positive label.
        recall_drop_bound: it is shown, with 95% confidence, to lose less recall than this.
        specificity_drop: the drop in specificity.
        specificity_lost: the same in images, of ``specificity_images``.
        specificity_images: the number of images of the negative label.
        auc_drop: the drop of the area under the ROC curve.
        agreement: the share of images with the prediction of the float model.
    """

    recall_drop: Difference
    recall_lost: int
    recall_images: Count
    recall_drop_bound: Share
    specificity_drop: Difference
    specificity_lost: int
    specificity_images: Count
    auc_drop: Difference
    agreement: Share

    @property
    def images(self) -> int:
        """The number of validation images."""
        return self.recall_images + self.specificity_images

    @property
    def changed(self) -> int:
        """The number of images whose prediction differs from that of the float model."""
        return round((1 - self.agreement) * self.images)


@dataclass(frozen=True, slots=True)
class VerificationRecord:
    """How a model was verified when it was converted.

    Attributes:
        limits: the limits it was held to.
        looser: the limits among them that are looser than the defaults, as text.
        loss: what it loses against the float model in the engine that cxr-edge runs it in.
        default_session: what an ONNX INT8 model loses in a session of ONNX Runtime with its default
            options, which others run it in; None for other models.
        failures: the limits it missed, as text; a bundle with any was rejected.
        warnings: what a user must know of the model, as text.
        processor: the instructions of the processor that it was verified on, as text.
    """

    limits: AccuracyLimits
    looser: tuple[Line, ...]
    loss: AccuracyLoss
    default_session: AccuracyLoss | None
    failures: tuple[Line, ...]
    warnings: tuple[Line, ...]
    processor: Line


@dataclass(frozen=True, slots=True)
class Training:
    """How the model was trained.

    Attributes:
        architecture: name of the network.
        weights: what its weights began as, for example ``imagenet``.
        seed: of initial weights, shuffling and augmentation.
        dataset_digest: SHA-256 over the training and validation images, hexadecimal.
        recipe: all hyper-parameters, as TOML text.
        versions: of Python and the packages that matter, by name.
    """

    architecture: Name
    weights: Line
    seed: int
    dataset_digest: Digest
    recipe: Text
    versions: dict[Name, Name]


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of the people whose films the model was made with, in years.

    Attributes:
        youngest: the lowest age.
        oldest: the highest age; in the last year of it, too.
    """

    youngest: Age
    oldest: Age

    def __str__(self) -> str:
        """``1 to 5 years``."""
        youngest, oldest = (f"{age:.1f}".removesuffix(".0") for age in (self.youngest, self.oldest))
        return f"{youngest} to {oldest} years"


@dataclass(frozen=True, slots=True)
class OneLevel:
    """The most that changed where the greys of films changed by one of 256 levels.

    All went up, all went down, or each went up, down or neither at random.

    Attributes:
        logit: the change of the logit.
        distance: the change of the gate's distance; None where there is no gate.
        films: the number of validation films that were changed.
    """

    logit: Annotated[float, Bounds(minimum=0)]
    distance: Annotated[float, Bounds(minimum=0)] | None
    films: Annotated[int, Bounds(minimum=1)]


@dataclass(frozen=True, slots=True)
class LocatorEntry:
    """The lung locator, which has the format of the model.

    Attributes:
        file: its name in the bundle, ``locator.tflite`` or ``locator.onnx``.
        version: :data:`LOCATOR_VERSION` of what it takes and gives, and of how a box follows.
        margin: how many times as wide and high as the lungs the box is that the model is shown.
    """

    file: FileName
    version: LocatorVersion
    margin: LocatorMargin


@dataclass(frozen=True, slots=True)
class Site:
    """The films of a site that a bundle was calibrated on after its conversion.

    Attributes:
        name: what the site is called.
        derived_from: digest of the bundle that was calibrated.
        negatives: number of films without the finding that the operating point was fitted on; 0
            where labels were not known and the prevalence alone was stated.
        positives: number of films with it.
        films: number of films, with or without label, that set the limit of the gate.
        warnings: what a user must know of the calibration, as text.
    """

    name: Name
    derived_from: Digest
    negatives: Annotated[int, Bounds(minimum=0)]
    positives: Annotated[int, Bounds(minimum=0)]
    films: Annotated[int, Bounds(minimum=0)]
    warnings: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``bundle.json``.

    Attributes:
        schema_version: version of this format.
        name: name of the bundle, for example ``mobilenetv2-int8``.
        version: version of the bundle.
        task: what the model is for.
        labels: the two labels, negative first.
        positive_label: the label whose probability is reported.
        files: every file of the bundle but the manifest, its checksum and its signature.
        model: the model's file and kind.
        input: the model's input tensor.
        outputs: the outputs that the model has, of ``cam``, ``logit`` and ``embedding``; ``logit``
            always. Without ``cam`` there is no heat map, without ``embedding`` no input gate.
        preprocess: how grey pixels become the input.
        locator: the lung locator, whose box the model is shown; None where it is the whole film.
        temperature: the probability is ``sigmoid((logit + bias) / temperature)``.
        bias: see the temperature.
        prevalence: the share of the positive label that the probability stands for; None where it
            is not known.
        ages: of the people whose films the model was made with; None where they are not known.
        threshold: the frozen operating point.
        one_level: how much an answer depends on one level of grey; None where it was not measured.
        gate: limits of the input gate, or None where inputs are not checked.
        metrics: the measured metrics, by split and name.
        calibration: of an INT8 model, else None.
        verification: how the model was verified; None where a bundle does not say.
        training: how the model was trained.
        intended_use: the intended use, as text.
        notice: :data:`NOTICE`, shown with every result; a bundle cannot have another.
        license: SPDX name of the bundle's licence.
        site: the films that it was calibrated on after its conversion; None, and not in the file,
            where it was not.
    """

    schema_version: Annotated[int, Bounds(const=SCHEMA_VERSION)]
    name: Name
    version: Version
    task: Line
    labels: Annotated[tuple[Label, ...], Bounds(min_items=2, max_items=2, unique=True)]
    positive_label: Label
    files: Annotated[dict[FileName, FileEntry], Bounds(max_keys=MAX_FILES)]
    model: ModelEntry
    input: InputEntry
    outputs: Annotated[
        tuple[Annotated[Text, Bounds(choices=OUTPUTS)], ...],
        Bounds(contains="logit", unique=True),
    ]
    preprocess: PreprocessSpec
    locator: LocatorEntry | None
    temperature: Annotated[float, Bounds(minimum=0.001, maximum=1000)]
    bias: Annotated[float, Bounds(minimum=-1e6, maximum=1e6)]
    prevalence: Prevalence | None
    ages: Ages | None
    threshold: Threshold
    one_level: OneLevel | None
    gate: GateLimits | None
    metrics: dict[Name, dict[Name, Interval]]
    calibration: Calibration | None
    verification: VerificationRecord | None
    training: Training
    intended_use: Line
    notice: Annotated[Text, Bounds(const=NOTICE)]
    license: License
    site: Site | None = None

    @property
    def is_rejected(self) -> bool:
        """Whether the model missed a limit when it was converted."""
        if self.name.endswith(REJECTED_SUFFIX):  # schema 2 had nothing but the name
            return True
        record = self.verification
        return record is not None and bool(
            record.failures
            or record.limits.missed_by(record.loss)
            or (record.default_session and record.limits.missed_by(record.default_session))
        )

    def to_json(self) -> str:
        """Return the text of ``bundle.json``, from which an equal manifest is read."""
        values = dataclasses.asdict(self)
        if self.site is None:
            del values["site"]
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
