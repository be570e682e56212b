"""A verified model with its origin and its metrics as a bundle."""

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
        target: the folder to write to.
        model: the bytes of the model's file.
        source: the float model that it was made from.
        scheme: what kind of model it is.
        metrics: the metrics of this model on validation, at the float model's operating point.
        failures: the limits it missed; its name and intended use say so.
        refit: its own operating point, where it was fitted anew.
        calibration: the images that set the ranges of an INT8 model.
        artifacts: what the bundle carries beside the model, if anything.
    """
    point = refit.operating_point if refit else source.validation.operating_point
    rule = f"{point.rule}, fitted to this variant" if refit else point.rule
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
        temperature=point.temperature,
        threshold=Threshold(point.threshold, rule, point.chosen_on),
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
    """Write the files of a bundle, its card made from the manifest, and the manifest itself.

    Args:
        target: the folder to write to.
        manifest: what the bundle says of itself; its ``files`` is replaced.
        contents: the bytes of the model and of all other files by name; a card among them is
            replaced.
        more: what the card says beyond the manifest, see :func:`.model_card.model_card`.
    """
    contents = {**contents, CARD_FILE: model_card(manifest, more).encode()}
    write_bundle(target, replace(manifest, files=describe_files(contents)), contents)
