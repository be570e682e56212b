"""A verified model, its run and its figures as a bundle."""

from dataclasses import replace
from importlib import metadata
from pathlib import Path

from cxr_edge_convert.card import model_card
from cxr_edge_runtime.bundle import describe_files, write_bundle
from cxr_edge_runtime.manifest import (
    NOTICE,
    SCHEMA_VERSION,
    Calibration,
    Figure,
    InputEntry,
    Manifest,
    ModelEntry,
    Threshold,
    Training,
)
from cxr_edge_train.evaluation.metrics import Metrics
from cxr_edge_train.runs import Run

FLOAT32, INT8 = "float32", "int8"
MODEL_FILE = "model.tflite"
CARD_FILE = "MODEL_CARD.md"

INTENDED_USE = (
    "Research and teaching on frontal chest X-rays like those it was trained on. Never a diagnosis."
)


def package(
    target: Path,
    model: bytes,
    run: Run,
    *,
    recipe: str,
    quantization: str,
    metrics: Metrics,
    calibration: Calibration | None,
) -> None:
    """Write a bundle.

    Args:
        target: folder to write to.
        model: bytes of the TFLite model.
        run: the run it comes from.
        recipe: the run's recipe, TOML text.
        quantization: ``float32`` or ``int8``.
        metrics: of this model on validation.
        calibration: of an INT8 model.
    """
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        name=f"{run.architecture}-{quantization}",
        version=metadata.version("cxr-edge"),
        task="pneumonia on chest X-rays",
        labels=("NORMAL", "PNEUMONIA"),
        positive_label="PNEUMONIA",
        files={},
        model=ModelEntry(MODEL_FILE, "tflite", quantization),
        input=InputEntry.of_contract(quantization, run.preprocess),
        preprocess=run.preprocess,
        temperature=run.temperature,
        threshold=Threshold(run.threshold, run.threshold_rule, "validation"),
        gate=None,
        metrics={"validation": manifest_figures(metrics)},
        calibration=calibration,
        training=Training(
            architecture=run.architecture,
            weights=run.weights,
            seed=run.seed,
            dataset_digest=run.dataset_digest,
            recipe=recipe,
            versions=run.versions,
        ),
        intended_use=INTENDED_USE,
        notice=NOTICE,
        license="Apache-2.0",
    )
    seal(target, manifest, model)


def seal(target: Path, manifest: Manifest, model: bytes, *, more_card: str = "") -> None:
    """Write model, card and manifest, the card made from the manifest, the digests from the files.

    Args:
        target: folder to write to.
        manifest: its ``files`` is replaced.
        model: bytes of the model.
        more_card: Markdown sections put at the end of the card.
    """
    contents = {
        manifest.model.file: model,
        CARD_FILE: (model_card(manifest) + more_card).encode(),
    }
    write_bundle(target, replace(manifest, files=describe_files(contents)), contents)


def manifest_figures(metrics: Metrics) -> dict[str, Figure]:
    """Metrics in the form of the manifest."""
    return {name: Figure(**figure) for name, figure in metrics.as_dict().items()}  # type: ignore[arg-type]
