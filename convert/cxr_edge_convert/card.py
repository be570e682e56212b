"""``MODEL_CARD.md``, written from the manifest so that both always say the same."""

from cxr_edge_runtime.manifest import Figure, Manifest, Training

_NAMES = {
    "auc": "AUC (patient-level bootstrap)",
    "average_precision": "average precision (patient-level bootstrap)",
    "sensitivity": "sensitivity (recall of PNEUMONIA)",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1 (patient-level bootstrap)",
    "accuracy": "accuracy",
    "brier": "Brier score (patient-level bootstrap)",
    "expected_calibration_error": "expected calibration error (patient-level bootstrap)",
}


def model_card(manifest: Manifest) -> str:
    """The card of a bundle, as Markdown.

    Args:
        manifest: complete but for ``files``.
    """
    training, calibration = manifest.training, manifest.calibration
    height, width = manifest.preprocess.height, manifest.preprocess.width
    calibrated = (
        f"\nINT8 ranges: {calibration.method}, {calibration.count} images, "
        f"seed {calibration.seed}.\n"
        if calibration
        else ""
    )
    no_map = "" if "cam" in manifest.outputs else "\n- No heat map: the model gives none."
    versions = ", ".join(f"{name} {version}" for name, version in training.versions.items())
    return f"""# {manifest.name} {manifest.version}

**{manifest.notice}**

{training.architecture}, {manifest.model.quantization}: {width}x{height} grey pixels in, probability
of {manifest.positive_label} out. Licence: {manifest.license}.

## Intended use

{manifest.intended_use}

## Training

{_origin(training)}
Dataset digest `{training.dataset_digest[:16]}`. {versions}.
{calibrated}
## Decision

Probability is `sigmoid(logit / {manifest.temperature:.4f})`; {manifest.positive_label} at or above
**{manifest.threshold.value:.4f}**. Both were chosen on {manifest.threshold.chosen_on} and frozen:
{manifest.threshold.rule}.

## Figures

{_figures(manifest.metrics)}
Validation flatters: other patients, but the same hospital and devices, and threshold and best epoch
were chosen on them.

## Limits

- Good for images like those it was trained on. Measure it on your own before you believe it.
{_gate(manifest)}{no_map}
- The probability is calibrated to the share of {manifest.positive_label} in the validation images.
"""


def _origin(training: Training) -> str:
    if not training.recipe:  # only a model from elsewhere has none
        return (
            "Trained outside cxr-edge: from what, with which seed and on which images is unknown. "
            "It may have\nlearned from the very images that measure it here."
        )
    return (
        f"Weights began as: `{training.weights}`.\n"
        f"Seed {training.seed}. Train and validation share no patient."
    )


def _gate(manifest: Manifest) -> str:
    if manifest.gate is None:
        return (
            "- Every image gets an answer, also one that shows no chest: this bundle has no input "
            "gate."
        )
    return (
        "- The input gate refuses an answer to what looks like no frontal chest X-ray and calls "
        "unusual films\n  suspicious. It does not catch everything."
    )


def _figures(metrics: dict[str, dict[str, Figure]]) -> str:
    lines = ["| split | figure | value | 95% interval | images |", "|---|---|---|---|---|"]
    lines += [
        f"| {split} | {_NAMES.get(name, name)} | {figure.value:.3f} "
        f"| {figure.low:.3f}–{figure.high:.3f} | {figure.n} |"
        for split, figures in metrics.items()
        for name, figure in figures.items()
    ]
    return "\n".join(lines) + "\n"
