"""``MODEL_CARD.md``, written from the manifest so that both always say the same.

Headings are those of Hugging Face's model cards.
"""

from collections.abc import Mapping

from cxr_edge_runtime.bundle.manifest import (
    LIMITS_HEADING,
    Manifest,
)

DETAILS, USES, START = "Model details", "Uses", "How to get started"
TRAINING, EVALUATION, EXAMINATION = "Training details", "Evaluation", "Model examination"
IMPACT, SPECIFICATIONS = "Environmental impact", "Technical specifications"
CITATION, CONTACT = "Citation", "Model card contact"
# In the order of a card; those without text are left out.
HEADINGS = (
    DETAILS,
    USES,
    LIMITS_HEADING,
    START,
    TRAINING,
    EVALUATION,
    EXAMINATION,
    IMPACT,
    SPECIFICATIONS,
    CITATION,
    CONTACT,
)

_NAMES = {
    "auc": "AUC (patient-level bootstrap)",
    "average_precision": "average precision (patient-level bootstrap)",
    "sensitivity": "sensitivity (recall of {})",
    "specificity": "specificity",
    "precision": "precision",
    "f1": "F1 (patient-level bootstrap)",
    "accuracy": "accuracy",
    "brier": "Brier score (patient-level bootstrap)",
    "expected_calibration_error": "expected calibration error (patient-level bootstrap)",
}


def model_card(manifest: Manifest, more: Mapping[str, str] | None = None) -> str:
    """The card of a bundle, as Markdown.

    Args:
        manifest: complete but for the card among its ``files``.
        more: Markdown by heading of :data:`HEADINGS`, put below what the manifest says there.

    Raises:
        KeyError: ``more`` has a heading that cards have not.
    """
    sections = dict.fromkeys(HEADINGS, "") | {
        DETAILS: _details(manifest),
        USES: _uses(manifest),
        LIMITS_HEADING: _limits(manifest),
        START: _start(manifest),
        TRAINING: _training(manifest),
        EVALUATION: _evaluation(manifest),
        SPECIFICATIONS: _specifications(manifest),
    }
    for heading, text in (more or {}).items():
        gap = "" if text.startswith("- ") else "\n"
        sections[heading] = (sections[heading] + gap + text).strip("\n") + "\n"
    body = "\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items() if text)
    return (
        f"---\nlicense: {manifest.license.lower()}\nlibrary_name: cxr-edge\n"
        "pipeline_tag: image-classification\n"
        f"tags: [chest-x-ray, {_finding(manifest).lower()}, {manifest.model.format}, "
        f"{manifest.model.quantization}]\n"
        f"---\n\n# {manifest.name} {manifest.version}\n\n**{manifest.notice}**\n\n{body}"
    )


def _details(manifest: Manifest) -> str:
    height, width = manifest.preprocess.height, manifest.preprocess.width
    return (
        f"{manifest.training.architecture}, {manifest.model.quantization}: {width}x{height} grey "
        f"pixels in, probability\nof {manifest.positive_label} out. Licence: {manifest.license}.\n"
    )


def _finding(manifest: Manifest) -> str:
    return manifest.task.split(" on ", 1)[0]


def _uses(manifest: Manifest) -> str:
    return (
        f"{manifest.intended_use}\n\n"
        "Out of scope: decisions about patients, lateral films, CT and other images, "
        f"and telling\n{_finding(manifest)} from other diseases of the lung.\n"
    )


def _limits(manifest: Manifest) -> str:
    gate = (
        "- Every image gets a prediction, even one that shows no chest: this bundle has no input "
        "gate\n  (a check for images that are not usable chest X-rays)."
        if manifest.gate is None
        else "- The input gate, a check before classification, rejects images that do not look "
        "like a\n  frontal chest X-ray and marks unusual films as suspicious. It does not catch "
        "everything."
    )
    no_map = "" if "cam" in manifest.outputs else "\n- No heat map: the model does not provide one."
    return f"""\
- Expect it to be at best as good on your images as on those it was measured on. Evaluate it on your
  own images before you rely on it.
{gate}{no_map}
{_ages(manifest)}
{_prevalence(manifest)}
{_verified(manifest)}"""


def _ages(manifest: Manifest) -> str:
    if manifest.ages is None:
        return "- The ages of the people on its training films are not stated."
    return (
        f"- It was trained on films of people aged {manifest.ages}. Performance at other ages is "
        "unknown; a\n  DICOM film that states another age is marked as suspicious."
    )


def _prevalence(manifest: Manifest) -> str:
    if manifest.prevalence is None:
        return (
            "- The probability was calibrated at an unknown prevalence of "
            f"{manifest.positive_label}."
        )
    of = "as in validation" if manifest.site is None else "as at the site"
    return (
        f"- The probability is calibrated for a prevalence of {manifest.prevalence:.1%} "
        f"{manifest.positive_label}, {of}.\n  At a different prevalence it is miscalibrated: state "
        "yours; no decision changes."
    )


def _verified(manifest: Manifest) -> str:
    """What the verification must tell every reader, a bullet each."""
    record = manifest.verification
    if record is None:
        return ""
    looser = [
        f"It was verified against looser limits than the defaults: {words}."
        for words in record.looser
    ]
    rejected = [f"**It was rejected:** {words}." for words in record.failures]
    warnings = [f"**Warning:** {words}." for words in record.warnings]
    return "".join(f"- {words}\n" for words in (*rejected, *looser, *warnings))


def _start(manifest: Manifest) -> str:
    return """\
```
cxr-edge classify --bundle . film.jpeg
```

Run this in the folder of this card. A bundle that ships with cxr-edge can also be given by name.
"""


def _training(manifest: Manifest) -> str:
    training = manifest.training
    if training.recipe:
        origin = (
            f"Initial weights: `{training.weights}`.\n"
            f"Seed {training.seed}. Training and validation share no patient."
        )
    else:  # only a model from elsewhere has none
        origin = (
            "Trained outside cxr-edge: initial weights, seed and training images are unknown. "
            "It may have\nbeen trained on the images that it is measured on here."
        )
    calibration = manifest.calibration
    calibrated = (
        f"\nINT8 ranges, set with {calibration.count} images, seed {calibration.seed}: "
        f"{calibration.method}.\n"
        if calibration
        else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in training.versions.items())
    return (
        f"{origin}\nDataset digest (a checksum of splits, labels and images) "
        f"`{training.dataset_digest[:16]}`.\n{versions}.\n{calibrated}"
    )


def _evaluation(manifest: Manifest) -> str:
    return f"""\
The probability is `sigmoid((logit {manifest.bias:+.4f}) / {manifest.temperature:.4f})`;
the label is {manifest.positive_label} at or above **{manifest.threshold.value:.4f}**. Bias,
temperature and threshold were chosen on {manifest.threshold.chosen_on} and frozen:
{manifest.threshold.rule}.

{_figures(manifest)}
{_flattered(manifest)}
{_losses(manifest)}"""


def _flattered(manifest: Manifest) -> str:
    if manifest.site is None:
        return """\
Validation overestimates AUC and specificity: the patients differ, but hospital and devices are the
same, and threshold and calibration were chosen on these images, from the float model's predictions.
Calibration error and Brier score are cross-fitted by patient."""
    return """\
Metrics of the site are cross-fitted by patient: no film was scored by a fit that had seen it."""


def _losses(manifest: Manifest) -> str:
    """What the conversion cost, and what was allowed."""
    record = manifest.verification
    if record is None:
        return ""
    limits, sessions = record.limits, [("in cxr-edge", record.loss)]
    if record.default_session:
        sessions.append(("in a default session of ONNX Runtime", record.default_session))
    lines = [
        f"| allowed | {limits.recall_drop:.4f} | {limits.specificity_drop:.4f} "
        f"| {limits.auc_drop:.4f} | {limits.agreement:.4f} |",
        *(
            f"| {name} | {loss.recall_drop:.4f} ({loss.recall_lost} of {loss.recall_images}) "
            f"| {loss.specificity_drop:.4f} ({loss.specificity_lost} of {loss.specificity_images}) "
            f"| {round(loss.auc_drop, 4) + 0.0:.4f} "  # 0.0: none is lost as -0
            f"| {loss.agreement:.4f} ({loss.changed} of {loss.images} changed) |"
            for name, loss in sessions
        ),
    ]
    bound = max(loss.recall_drop_bound for _, loss in sessions)
    return (
        "\nCompared with the float model on the same images:\n\n"
        "| | recall drop | specificity drop | AUC drop | agreement |\n|---|---|---|---|---|\n"
        + "\n".join(lines)
        + f"\n\nThe upper bound of the drop in recall is {bound:.4f} (one-sided, 95%). Verified "
        f"on\n{record.processor}.\n"
    )


def _specifications(manifest: Manifest) -> str:
    _, height, width, channels = manifest.input.shape
    return (
        f"`{manifest.model.file}` takes `[1, {height}, {width}, {channels}]` "
        f"{manifest.input.dtype} and outputs {', '.join(manifest.outputs)}. Preprocessing: "
        f"grey,\n{manifest.preprocess.rule}, version {manifest.preprocess.version} of the rule.\n"
        f"{_locator(manifest)}"
    )


def _locator(manifest: Manifest) -> str:
    locator = manifest.locator
    if locator is None:
        return ""
    return (
        f"`{locator.file}`, {manifest.files[locator.file].bytes:,} bytes, finds the lungs. "
        f"The model gets their\nbox, enlarged {locator.margin:g} times in width and height.\n"
    )


def _figures(manifest: Manifest) -> str:
    names = {name: words.format(manifest.positive_label) for name, words in _NAMES.items()}
    lines = ["| split | metric | value | 95% interval | images |", "|---|---|---|---|---|"]
    lines += [
        f"| {split} | {names.get(name, name)} | {figure.value:.3f} "
        f"| {figure.low:.3f}–{figure.high:.3f} | {figure.n} |"
        for split, figures in manifest.metrics.items()
        for name, figure in figures.items()
    ]
    return "\n".join(lines) + "\n"
