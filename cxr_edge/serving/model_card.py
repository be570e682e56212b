"""Which model classifies: as JSON, and its card as a page of its own."""

from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt

from cxr_edge.bundles.notice import made_with
from cxr_edge_runtime.bundle import Bundle
from cxr_edge_runtime.bundle.manifest import CARD_FILE, NOTICE
from cxr_edge_runtime.probability import at_prevalence
from cxr_edge_runtime.result_json import Share


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Which model classifies, and what for.

    Attributes:
        name: the name of the bundle.
        version: the version of the bundle.
        sha256: SHA-256 of the bundle's ``bundle.json``.
        labels: the labels that it distinguishes.
        positive_label: the label whose probability is reported.
        threshold: the positive label is given at or above this probability.
        threshold_rule: how the threshold was chosen, as text.
        threshold_chosen_on: the split on which it was chosen.
        prevalence: the share of positive images that probability and threshold stand for; null
            where it is not known.
        input_gate: whether images that are not chest X-rays are rejected.
        activation_map: whether the model gives a map.
        made_with: of whose films the model was made, as text.
        rejected: whether the model missed an accuracy limit when it was converted.
        failures: the limits that it missed, as text.
        looser_limits: the limits that are looser than the defaults, as text.
        warnings: what a user must know of the model, as text.
        intended_use: what the model is for.
        notice: what a result may not be used for.
    """

    name: str
    version: str
    sha256: str
    labels: tuple[str, ...]
    positive_label: str
    threshold: Share
    threshold_rule: str
    threshold_chosen_on: str
    prevalence: Share | None
    input_gate: bool
    activation_map: bool
    made_with: str
    rejected: bool
    failures: tuple[str, ...]
    looser_limits: tuple[str, ...]
    warnings: tuple[str, ...]
    intended_use: str
    notice: str

    @classmethod
    def of(cls, bundle: Bundle, *, prevalence: float | None = None) -> "ModelDescription":
        """That of a bundle, at a prevalence where one was asked for."""
        manifest = bundle.manifest
        threshold, record = manifest.threshold.value, manifest.verification
        if prevalence is not None and manifest.prevalence is not None:
            threshold = at_prevalence(threshold, stated=manifest.prevalence, wanted=prevalence)
        return cls(
            name=manifest.name,
            version=manifest.version,
            sha256=bundle.digest,
            labels=manifest.labels,
            positive_label=manifest.positive_label,
            threshold=threshold,
            threshold_rule=manifest.threshold.rule,
            threshold_chosen_on=manifest.threshold.chosen_on,
            prevalence=manifest.prevalence if prevalence is None else prevalence,
            input_gate=manifest.gate is not None,
            activation_map="cam" in manifest.outputs,
            made_with=made_with(manifest),
            rejected=manifest.is_rejected,
            failures=record.failures if record else (),
            looser_limits=record.looser if record else (),
            warnings=record.warnings if record else (),
            intended_use=manifest.intended_use,
            notice=NOTICE,
        )


def card_page(bundle: Bundle) -> str:
    """HTML of a bundle's card, or of what its manifest says where it has no card.

    Pictures of a card lie elsewhere and are left out.

    Raises:
        BundleCorrupted: the card changed since the bundle was loaded.
    """
    manifest = bundle.manifest
    if CARD_FILE in manifest.files:
        text = bundle.read(CARD_FILE).decode("utf-8", "replace")
    else:
        text = f"# {manifest.name} {manifest.version}\n\nThis bundle has no model card.\n"
        if manifest.intended_use:
            text += f"\n## Intended use\n\n{manifest.intended_use}\n"
    if text.startswith("---\n"):  # Hugging Face's front matter
        text = text.partition("\n---\n")[2]
    # The commonmark preset passes HTML through; a card may come from anywhere.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    # A screen reader reads an empty heading of a column as one.
    content = markdown.render(text).replace("<th></th>", "<td></td>")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card: {escape(bundle.manifest.name)}</title>
<link rel="icon" href="icon.svg">
<link rel="stylesheet" href="page.css">
</head>
<body>
<aside class="notice" aria-label="Notice">{escape(NOTICE)}</aside>
<main class="card-page">
<p><a href="./">Back to the films</a></p>
<p>The text below is the bundle's own; cxr-edge has not checked it.</p>
{content}
</main>
</body>
</html>
"""
