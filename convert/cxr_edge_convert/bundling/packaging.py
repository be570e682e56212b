"""A verified model with its source and figures as a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from cxr_edge_convert.artifacts.builder import BundleArtifacts
from cxr_edge_convert.bundling.model_card import model_card
from cxr_edge_convert.formats import onnx
from cxr_edge_convert.refitting import Refit
from cxr_edge_convert.sources import Source
from cxr_edge_convert.variants import ONNX, Scheme
from cxr_edge_runtime.bundle import describe_files, write_bundle
from cxr_edge_runtime.bundle.manifest import (
    CARD_FILE,
    NOTICE,
    SCHEMA_VERSION,
    Calibration,
    InputEntry,
    Manifest,
    ModelEntry,
    Threshold,
)
from cxr_edge_train.evaluation.metrics import Metrics

# Where an ONNX file keeps the manifest, its files left out.
METADATA_KEY = "cxr_edge_manifest"

INTENDED_USE = (
    "Research and teaching on frontal chest X-rays like those it was trained on. Never a diagnosis."
)


def package(
    target: Path,
    model: bytes,
    source: Source,
    scheme: Scheme,
    *,
    metrics: Metrics,
    failures: Sequence[str],
    refit: Refit | None,
    calibration: Calibration | None,
    artifacts: BundleArtifacts | None,
) -> None:
    """Write a bundle.

    Args:
        target: folder to write to.
        model: bytes of the model's file.
        source: what it was made from.
        scheme: what kind of model it is.
        metrics: of this model on validation, at float's operating point.
        failures: the limits it missed; its name and intended use say so.
        refit: its own operating point, where it was fitted anew.
        calibration: of an INT8 model.
        artifacts: what the bundle carries beside the model, if anything.
    """
    reference = source.validation
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=f"{source.name}-{scheme.name}" + ("-rejected" if failures else ""),
        version=metadata.version("cxr-edge"),
        task="pneumonia on chest X-rays",
        labels=("NORMAL", "PNEUMONIA"),
        positive_label="PNEUMONIA",
        files={},
        model=ModelEntry(scheme.file, scheme.format, scheme.quantization),
        input=InputEntry.of_contract(scheme.format, scheme.quantization, source.images.preprocess),
        outputs=source.outputs,
        preprocess=source.images.preprocess,
        temperature=refit.temperature if refit else reference.temperature,
        threshold=(
            Threshold(refit.threshold, f"{refit.rule}, fitted to this variant", "validation")
            if refit
            else Threshold(reference.threshold, source.threshold_rule, "validation")
        ),
        gate=artifacts.gate.limits if artifacts and artifacts.gate else None,
        metrics={"validation": (refit.metrics if refit else metrics).by_name()},
        calibration=calibration,
        training=source.training,
        intended_use=f"None, it was rejected: {'; '.join(failures)}." if failures else INTENDED_USE,
        notice=NOTICE,
        license=source.license,
    )
    if scheme.format == ONNX:
        # The digests are those of the file that this goes into, so they cannot be in it.
        model = onnx.with_metadata(model, {METADATA_KEY: manifest.to_json()})
    seal(target, manifest, {manifest.model.file: model} | (artifacts.files if artifacts else {}))


def seal(
    target: Path,
    manifest: Manifest,
    contents: Mapping[str, bytes],
    *,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write files, card and manifest, the card made from the manifest, the digests from the files.

    Args:
        target: folder to write to.
        manifest: its ``files`` is replaced.
        contents: bytes of the model's and all other files by name; a card among them is replaced.
        more: what the card says beyond that, see :func:`.model_card.model_card`.
    """
    contents = {**contents, CARD_FILE: model_card(manifest, more).encode()}
    write_bundle(target, replace(manifest, files=describe_files(contents)), contents)
