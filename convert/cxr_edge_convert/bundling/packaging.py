"""A verified model with its origin and its metrics as a bundle."""

from importlib import metadata
from pathlib import Path

from cxr_edge_convert.artifacts.lungs import LungCounts
from cxr_edge_convert.bundling.model_card import EVALUATION
from cxr_edge_convert.bundling.sealing import METADATA_KEY, seal
from cxr_edge_convert.conversion import Variant
from cxr_edge_convert.formats import onnx
from cxr_edge_convert.limits import Limits
from cxr_edge_convert.refitting import Refit
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import ONNX
from cxr_edge_convert.verification import Verification
from cxr_edge_runtime.bundle.manifest import (
    LOOSE_SUFFIX,
    NOTICE,
    REJECTED_SUFFIX,
    SCHEMA_VERSION,
    AccuracyLimits,
    AccuracyLoss,
    Ages,
    InputEntry,
    LocatorEntry,
    Manifest,
    ModelEntry,
    Threshold,
    VerificationRecord,
    locator_file,
)
from cxr_edge_runtime.device import processor_instructions

INTENDED_USE = (
    "Research and teaching on frontal chest X-rays like those it was trained on. Never a diagnosis."
)


def package(
    target: Path, variant: Variant, source: Source, limits: Limits, ages: Ages | None
) -> None:
    """Write a bundle.

    Its name says when the variant missed a limit, or was held to looser limits than the defaults.

    Args:
        target: the folder to write to.
        variant: the verified model with what its bundle carries beside it.
        source: the float model that it was made from.
        limits: what it was held to.
        ages: of the people whose films the model was made with.
    """
    scheme, model, artifacts, refit = (
        variant.scheme, variant.model, variant.artifacts, variant.refit
    )  # fmt: skip
    point = refit.operating_point if refit else source.validation.operating_point
    rule = f"{point.rule}, fitted to this variant" if refit else point.rule
    failures = variant.verification.failures
    name = f"{source.name}-{scheme.name}"
    if limits.looser:
        name += LOOSE_SUFFIX
    if failures:
        name += REJECTED_SUFFIX
    contents = artifacts.files if artifacts else {}
    locator = None
    if kept := source.locator:
        locator = LocatorEntry(locator_file(scheme.format), kept.record.version, kept.record.margin)
        contents[locator.file] = kept.model(scheme.format)
    finding = "pneumonia" if source.names.is_default else source.names.positive
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=metadata.version("cxr-edge"),
        task=f"{finding} on chest X-rays",
        labels=tuple(source.names),
        positive_label=source.names.positive,
        files={},
        model=ModelEntry(scheme.file, scheme.format, scheme.quantization),
        input=InputEntry.of_contract(scheme.format, scheme.quantization, source.preprocess),
        outputs=source.outputs,
        preprocess=source.preprocess,
        locator=locator,
        temperature=point.temperature,
        bias=point.bias,
        prevalence=point.prevalence,
        ages=ages,
        threshold=Threshold(point.threshold, rule, point.chosen_on),
        one_level=artifacts.one_level if artifacts else None,
        gate=artifacts.gate.limits if artifacts and artifacts.gate else None,
        metrics={
            "validation": (refit.metrics if refit else variant.verification.metrics).by_name()
        },
        calibration=variant.calibration,
        verification=verification_record(variant, limits),
        training=source.training,
        intended_use=(
            f"None: it was rejected ({'; '.join(failures)})." if failures else INTENDED_USE
        ),
        notice=NOTICE,
        license=source.license,
    )
    if scheme.format == ONNX:
        # The digests are those of the file that this goes into, so they cannot be in it.
        model = onnx.with_metadata(model, {METADATA_KEY: manifest.to_json()})
    more = _lungs(artifacts.without_lungs) if artifacts and artifacts.without_lungs else {}
    seal(target, manifest, {manifest.model.file: model} | contents, more=more)


def _lungs(counts: LungCounts) -> dict[str, str]:
    """What the card says of films in which there are no lungs."""
    return {
        EVALUATION: f"The lung locator finds no lungs in {counts.validation} of "
        f"{counts.validation_films} validation films, and in {counts.non_films} of "
        f"{counts.non_film_images}\nimages that are not chest X-rays.\n"
    }


def verification_record(variant: Variant, limits: Limits) -> VerificationRecord:
    """What a bundle says of how its model was verified."""
    other = variant.default_session
    return VerificationRecord(
        limits=AccuracyLimits(
            limits.max_recall_drop,
            limits.max_specificity_drop,
            limits.max_auc_drop,
            limits.min_agreement,
        ),
        looser=limits.looser,
        loss=_loss(variant.verification, variant.refit or variant.verification),
        default_session=_loss(other, other) if other else None,
        failures=variant.verification.failures,
        warnings=variant.warnings,
        processor=processor_instructions(),
    )


def _loss(verification: Verification, at_point: Verification | Refit) -> AccuracyLoss:
    """What is lost, at the float model's operating point or the variant's own."""
    recall, specificity = at_point.recall_lost, at_point.specificity_lost
    return AccuracyLoss(
        recall_drop=recall.share,
        recall_lost=recall.net,
        recall_images=recall.n,
        recall_drop_bound=at_point.recall_drop_bound,
        specificity_drop=specificity.share,
        specificity_lost=specificity.net,
        specificity_images=specificity.n,
        auc_drop=verification.auc_drop,
        agreement=verification.agreement,
    )
