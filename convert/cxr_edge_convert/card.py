"""``MODEL_CARD.md``, written from the manifest so that both always say the same."""

from cxr_edge_runtime.manifest import Figure, Manifest

_NAMES = {
    "auc": "AUC (patient-level bootstrap)",
    "sensitivity": "sensitivity (recall of PNEUMONIA)",
    "specificity": "specificity",
    "accuracy": "accuracy",
}


def model_card(manifest: Manifest) -> str:
    """The card of a bundle, as Markdown.

    Args:
        manifest: complete but for ``files``.
    """
    training, calibration = manifest.training, manifest.calibration
    height, width = manifest.preprocess.height, manifest.preprocess.width
    calibrated = (
        f"\nINT8 ranges: {calibration.method}, {calibration.count} training images, "
        f"seed {calibration.seed}.\n"
        if calibration
        else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in training.versions.items())
    return f"""# {manifest.name} {manifest.version}

**{manifest.notice}**

{training.architecture}, {manifest.model.quantization}, {width}x{height} grey pixels in,
probability of {manifest.positive_label} out. Licence: {manifest.license}.

## Intended use

{manifest.intended_use}

## Training data

*Chest X-Ray Images (Pneumonia)*: Kermany, D., Zhang, K., Goldbaum, M. (2018), "Labeled Optical
Coherence Tomography (OCT) and Chest X-Ray Images for Classification", Mendeley Data, CC BY 4.0;
the form published on Kaggle by Paul Mooney, scaled to {width}x{height}. Children of one to five
years from one hospital (Guangzhou Women and Children's Medical Center). Train and validation were
split by patient; exact duplicates were removed. Dataset digest `{training.dataset_digest[:16]}`.

Weights began as: `{training.weights}`. Seed {training.seed}. {versions}.
{calibrated}
## Decision

Probability is `sigmoid(logit / {manifest.temperature:.4f})`; {manifest.positive_label} at or above
**{manifest.threshold.value:.4f}**. Temperature and threshold were chosen on
{manifest.threshold.chosen_on} ({manifest.threshold.rule}) and then frozen.

## Figures

{_figures(manifest.metrics)}
Validation figures flatter on this data set: other patients, but the same hospital and devices, and
threshold and best epoch were chosen on them.

## Limits

- Trained on children of one hospital. On other hospitals' images models trained on this set have
  fallen to AUC 0.54 (Xin, Li and Yi 2021).
- Bright borders, side markers, burned-in text and image shape differ between the two labels of the
  training data; augmentation weakens such shortcuts and does not rule them out.
- Every image gets an answer, also one that shows no chest: this bundle has no input gate.
- The probability is calibrated to the training data's share of pneumonia (about three in four).
"""


def _figures(metrics: dict[str, dict[str, Figure]]) -> str:
    lines = ["| split | figure | value | 95% interval | images |", "|---|---|---|---|---|"]
    lines += [
        f"| {split} | {_NAMES.get(name, name)} | {figure.value:.3f} "
        f"| {figure.low:.3f}–{figure.high:.3f} | {figure.n} |"
        for split, figures in metrics.items()
        for name, figure in figures.items()
    ]
    return "\n".join(lines) + "\n"
