"""The result for one image, as types: every output format is made from these.

classify's JSON and the API give their JSON, classify's CSV file and the results of ``score`` rows
of them, and the schemas in the description of the API are derived from the annotations.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cxr_edge_runtime.batch import Result
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.errors import CxrEdgeError
from cxr_edge_runtime.gate import ACCEPTED, NOT_CHECKED, REJECTED, SUSPICIOUS
from cxr_edge_runtime.preprocess import Box
from cxr_edge_runtime.probability import digits_apart
from cxr_edge_runtime.typed_json import Bounds

# Raised when a field goes or means something else.
RESULT_SCHEMA_VERSION = 1
_DIGITS = 6

Share = Annotated[float, Bounds(minimum=0, maximum=1)]
SchemaVersion = Annotated[int, Bounds(const=RESULT_SCHEMA_VERSION)]


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the input gate says of an image."""

    verdict: Annotated[str, Bounds(choices=(ACCEPTED, SUSPICIOUS, REJECTED, NOT_CHECKED))]
    reasons: tuple[str, ...]
    distance: float | None


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds of the stages."""

    decode: float
    preprocess: float
    invoke: float


@dataclass(frozen=True, slots=True)
class BundleName:
    """Which bundle classified the image."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResult:
    """An image that was classified.

    Attributes:
        schema_version: version of this format.
        file: the name of the image.
        label: one of the bundle's labels; null where the gate rejected the image.
        probability: probability of the positive label, 0 to 1; null where the gate rejected the
            image.
        logit: the model's raw output; null where the gate rejected the image.
        threshold: the positive label is given at or above this probability.
        borderline: whether a change of the greys by one level could turn the answer; null where the
            bundle does not say.
        prevalence: the share of positive images that both stand for; null where it is not known.
        gate: whether the image is a usable frontal chest X-ray, and how far it is from the films
            that the model was trained on.
        box: what the model looked at, the lungs with a margin, each side as a share of the film's
            width or height from its left or top; null where it was the whole film.
        warnings: what is suspicious about the image.
        timings_ms: milliseconds of the stages.
        image_sha256: of the image's file; null where it was not asked for.
        bundle: which bundle classified the image.
        notice: what the result may not be used for.
    """

    schema_version: SchemaVersion
    file: str
    label: str | None
    probability: Share | None
    logit: float | None
    threshold: Share
    borderline: bool | None
    prevalence: Share | None
    gate: GateResult
    box: Box | None
    warnings: tuple[str, ...]
    timings_ms: Timings
    image_sha256: str | None
    bundle: BundleName
    notice: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no result.

    Attributes:
        kind: one word for programs.
        message: what is wrong and what to do.
    """

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageProblem:
    """An image that could not be classified."""

    schema_version: SchemaVersion
    file: str
    error: Problem


def image_result(file: str, result: Result, bundle: Bundle) -> ImageResult | ImageProblem:
    """Build the result for an image.

    Args:
        file: the name of the image.
        result: the prediction, or the error that kept the image from one.
        bundle: the bundle that classified it.
    """
    if isinstance(result, CxrEdgeError):
        return ImageProblem(
            schema_version=RESULT_SCHEMA_VERSION,
            file=file,
            error=Problem(result.kind, str(result)),
        )
    manifest = bundle.manifest
    return ImageResult(
        schema_version=RESULT_SCHEMA_VERSION,
        file=file,
        label=result.label,
        probability=result.probability,
        logit=None if result.label is None else result.logit,
        threshold=result.threshold,
        borderline=result.borderline,
        prevalence=result.prevalence,
        gate=GateResult(result.gate.verdict, result.gate.reasons, result.gate.distance),
        box=result.box,
        warnings=result.warnings,
        timings_ms=Timings(**result.timings_ms),
        image_sha256=result.image_sha256,
        bundle=BundleName(manifest.name, manifest.version, bundle.digest),
        notice=manifest.notice,
    )


def as_json(result: ImageResult | ImageProblem) -> dict[str, Any]:
    """The JSON object of an image, with the numbers rounded."""
    content = asdict(result)
    if isinstance(result, ImageResult):
        if result.probability is not None:
            digits = digits_apart(result.probability, result.threshold, at_least=_DIGITS)
            content["probability"] = round(result.probability, digits)
        content["logit"] = _rounded(result.logit)
        content["gate"]["distance"] = _rounded(result.gate.distance)
        if result.box is not None:
            content["box"] = {side: round(share, _DIGITS) for side, share in content["box"].items()}
        content["timings_ms"] = {
            name: round(value, 3) for name, value in content["timings_ms"].items()
        }
    return content


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
